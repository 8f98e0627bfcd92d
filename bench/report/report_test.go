package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func pageOf(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "page.html")
	if err := report(dir, out); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fixture copies the fixture's files, for a test to spoil one.
func fixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/results")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func elements(t *testing.T, page, name string) []string {
	t.Helper()
	all := regexp.MustCompile(`(?s)<`+name+`[ >].*?</`+name+`>`).FindAllString(page, -1)
	if len(all) == 0 {
		t.Fatalf("the page has no <%s>", name)
	}
	return all
}

func TestPageHasEveryScenarioAndArm(t *testing.T) {
	page := pageOf(t, "testdata/results")
	rs, err := readResults("testdata/results")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		_, section, ok := strings.Cut(page, ">"+r.Scenario+"</h2>")
		if !ok {
			t.Errorf("no section for scenario %s", r.Scenario)
			continue
		}
		section, _, _ = strings.Cut(section, "</section>")
		table := elements(t, section, "table")[0]
		for _, a := range r.Arms {
			if !strings.Contains(html.UnescapeString(table), a) {
				t.Errorf("scenario %s: no arm %s in the table", r.Scenario, a)
			}
		}
		if n := strings.Count(section, "<figure>"); n != 2 {
			t.Errorf("scenario %s has %d figures, want CPU and latency", r.Scenario, n)
		}
	}
	for _, want := range []string{"Linux 6.18.0", "go1.26.0", "Example CPU 9000", "<dd>2026-01-02 22:58 to 23:10 UTC</dd>", "own namespace, reno", "Echo of 64 B over the connections: small, sparse",
		"Random reads, cached, over the depth", "IOPS", "Of the 10,000 connections, 100 send.", "prefers-color-scheme:dark"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestPageNeedsNothingBesideIt(t *testing.T) {
	page := pageOf(t, "testdata/results")
	page = strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, "")
	for _, no := range []string{"<script", "<link", "<img", "src=", "http:", "https:", "url(", "@import"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
}

func TestStrangeNamesAreEscaped(t *testing.T) {
	page := pageOf(t, "testdata/results")
	if strings.Contains(page, "<b>") {
		t.Error("an arm's name became an element")
	}
	if !strings.Contains(page, "&lt;b&gt;&amp;&#34;&#39;#0072B2") {
		t.Error("an arm's name isn't in the page as it is written")
	}
	if strings.Contains(html.UnescapeString(page), `<b>&"'var(`) {
		t.Error("a colour in an arm's name was taken for a colour of the plot")
	}
}

// A control character and a broken rune have no place in XML, even escaped.
func TestNamesThatXMLCannotHoldAreReplaced(t *testing.T) {
	dir := fixture(t)
	edit(t, filepath.Join(dir, "small.json"), func(r *result) {
		r.Arms = append(r.Arms, "nul\x00\nline")
		r.Rounds["nul\x00\nline"] = r.Rounds["net"]
	})
	page := pageOf(t, dir)
	for _, svg := range elements(t, page, "svg") {
		parse(t, svg)
	}
	if !strings.Contains(page, "nul\uFFFD\uFFFDline") {
		t.Error("the name isn't on the page")
	}
}

func parse(t *testing.T, s string) (names map[string]int) {
	t.Helper()
	names = map[string]int{}
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatalf("%v in %.300s", err, s)
		}
		if e, ok := tok.(xml.StartElement); ok {
			names[e.Name.Local]++
		}
	}
}

func TestEachSVGIsXMLWithATitleAndNoColourOfItsOwn(t *testing.T) {
	for _, svg := range elements(t, pageOf(t, "testdata/results"), "svg") {
		names := parse(t, svg)
		if !strings.Contains(svg, `aria-hidden="true"`) && (names["title"] != 1 || names["desc"] != 1) {
			t.Errorf("no title and description: %.200s", svg)
		}
		for _, style := range styleAttribute.FindAllString(svg, -1) {
			if hexColor.MatchString(style) {
				t.Errorf("a colour that doesn't follow the background: %s", style)
			}
		}
	}
}

func TestTheRestOfThePageIsXMLToo(t *testing.T) {
	page := pageOf(t, "testdata/results")
	page = strings.TrimPrefix(page, "<!DOCTYPE html>\n")
	page = regexp.MustCompile(`<meta [^>]*>`).ReplaceAllString(page, "")
	names := parse(t, page)
	if names["html"] != 1 || names["table"] != 6 {
		t.Errorf("%d tables, want 2 summaries and 4 scenarios", names["table"])
	}
}

func TestTablesHaveHeaders(t *testing.T) {
	for _, table := range elements(t, pageOf(t, "testdata/results"), "table") {
		rows := strings.Count(table, "<tr>")
		if n := strings.Count(table, `<th scope="row">`); n != rows-1 {
			t.Errorf("%d row headers for %d rows", n, rows-1)
		}
		if !strings.Contains(table, `<th scope="col">`) || !strings.Contains(table, "<caption>") {
			t.Error("a table without column headers or caption")
		}
	}
}

// edit rewrites a file of the fixture.
func edit(t *testing.T, name string, change func(*result)) {
	t.Helper()
	var r result
	b, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	change(&r)
	if b, err = json.Marshal(r); err == nil {
		err = os.WriteFile(name, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string){
		"broken JSON": func(t *testing.T, file string) {
			if err := os.WriteFile(file, []byte(`{"Scenario": "small",`), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"another program's JSON": func(t *testing.T, file string) {
			if err := os.WriteFile(file, []byte(`{}`), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"no arms":             func(t *testing.T, file string) { edit(t, file, func(r *result) { r.Arms = nil }) },
		"an arm has no round": func(t *testing.T, file string) { edit(t, file, func(r *result) { delete(r.Rounds, "net") }) },
		"no time":             func(t *testing.T, file string) { edit(t, file, func(r *result) { r.Rounds["net"][1].Elapsed = 0 }) },
		"two of one scenario": func(t *testing.T, file string) { edit(t, file, func(r *result) { r.Scenario = "cached-1" }) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := fixture(t)
			file := filepath.Join(dir, "small.json")
			spoil(t, file)
			out := filepath.Join(dir, "page.html")
			err := report(dir, out)
			if err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v, want one that names %s", err, file)
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a page was written: %v", err)
			}
		})
	}
}

func TestAScenarioThatStoodStillIsLeftOut(t *testing.T) {
	dir := fixture(t)
	all, err := readResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(dir, "small.json"), func(r *result) { r.Rounds["net"][1].Requests = 0 })
	rs, err := readResults(dir)
	if err != nil || len(rs) != len(all)-1 {
		t.Fatalf("%d of %d scenarios, %v", len(rs), len(all), err)
	}
	for _, r := range rs {
		if r.Scenario == "small" {
			t.Error("it is there")
		}
	}
}

func TestMissingRoundsAndFilesAreTyped(t *testing.T) {
	dir := fixture(t)
	edit(t, filepath.Join(dir, "small.json"), func(r *result) { r.Rounds = nil })
	if _, err := readResults(dir); !errors.Is(err, errNoRounds) {
		t.Errorf("got %v, want errNoRounds", err)
	}
	if _, err := readResults(t.TempDir()); !errors.Is(err, errNoFiles) {
		t.Errorf("got %v, want errNoFiles", err)
	}
}

// One round of one arm that measured nothing but requests: every axis is degenerate.
func TestASingleBareMeasurementMakesAPage(t *testing.T) {
	r := &result{Scenario: "bare", Arms: []string{"x"}, Rounds: map[string][]figures{"x": {{Requests: 1, Elapsed: 1}}}}
	var b bytes.Buffer
	if err := writePage(&b, []*result{r}, notes{}); err != nil {
		t.Fatal(err)
	}
	for _, svg := range elements(t, b.String(), "svg") {
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("a coordinate isn't a number: %.400s", svg)
		}
	}
}

func TestFilesOfSeveralMachinesAreAnnounced(t *testing.T) {
	dir := fixture(t)
	const warning = "not all of one machine"
	if strings.Contains(pageOf(t, dir), warning) {
		t.Error("a warning about files of one machine")
	}
	edit(t, filepath.Join(dir, "small.json"), func(r *result) { r.Kernel = "Linux 5.10" })
	if !strings.Contains(pageOf(t, dir), warning) {
		t.Error("no warning about files of two machines")
	}
}

func TestThePageHasTheTextsBesideTheFigures(t *testing.T) {
	page := pageOf(t, "testdata/results")
	for _, want := range []string{
		`<li>Waiting is cheap: <strong>holds in part</strong>`,
		`<li>small: io_uring 4.00, net 6.00 us of CPU per request, ratio 0.67: yes</li>`,
		`net 3.00 &lt;us&gt; of CPU`,
		"<pre>go run ./bench -out DIR\n\n  small    twice</pre>",
		`href="#claims"`, `href="#about"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	dir := fixture(t)
	for _, name := range []string{"claims.txt", "about.txt"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	page = pageOf(t, dir)
	if strings.Contains(page, `"claims`) || strings.Contains(page, `"about`) {
		t.Error("a section for a text that isn't there")
	}
}

func TestATextThatCannotBeReadIsAnError(t *testing.T) {
	dir := fixture(t)
	claims := filepath.Join(dir, "claims.txt")
	if err := errors.Join(os.Remove(claims), os.Mkdir(claims, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := readNotes(dir); err == nil || !strings.Contains(err.Error(), claims) {
		t.Errorf("error %v, want one that names %s", err, claims)
	}
}

func TestTextsAreMadeFitForThePage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "about.txt"), []byte("a\tb\r\nc\x00\n\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n, err := readNotes(dir)
	if want := "a    b\nc\uFFFD"; err != nil || n.About != want {
		t.Errorf("got %q, %v, want %q", n.About, err, want)
	}
}

func TestClaimsMayHaveAnyShape(t *testing.T) {
	got := parseClaims("  no claim above: yes\nno verdict\n\n  finding: a: no\n")
	want := []claim{
		{Text: "no claim above", Verdict: "yes"},
		{Text: "no verdict", Findings: []claim{{Text: "finding: a", Verdict: "no"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDatesAreThoseOfTheFiles(t *testing.T) {
	at := func(s string) *result {
		d, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return &result{Date: d}
	}
	noon, later, next := at("2026-01-02T12:00:30Z"), at("2026-01-02T14:05:00+01:00"), at("2026-01-03T00:01:00Z")
	for _, c := range []struct {
		want string
		rs   []*result
	}{
		{"", []*result{{}}},
		{"2026-01-02 12:00 UTC", []*result{{}, noon, noon}},
		{"2026-01-02 12:00 to 13:05 UTC", []*result{later, {}, noon}},
		{"2026-01-02 12:00 to 2026-01-03 00:01 UTC", []*result{next, noon, later}},
	} {
		if got := dates(c.rs); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestFactsThatNoFileHasAreLeftOut(t *testing.T) {
	names := func(rs ...*result) string {
		fs, mixed := facts(rs)
		s := fmt.Sprint(mixed)
		for _, f := range fs {
			s += ", " + f.Name + "=" + f.Value
		}
		return s
	}
	if got, want := names(&result{CPUs: 2}, &result{CPUs: 2, Command: "bench"}), "false, CPUs=2, Command=bench"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := names(&result{CPU: "one"}, &result{CPU: "another"}, &result{}), "true, CPU=one; another, CPUs=0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
