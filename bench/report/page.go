package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// page is what the template shows.
type page struct {
	CSS       template.CSS
	Facts     []fact
	Mixed     bool // the files are not of one machine
	Groups    []group
	Series    []*series
	Scenarios []section
	Legend    []legendEntry
}

type fact struct{ Name, Value string }

// group is the summary of related scenarios.
type group struct {
	Base     string
	Names    string
	Findings []finding
	Matrix   matrix
}

// section is one scenario.
type section struct {
	ID, Name, What, Rounds, File string
	Base                         string
	Figures                      []figure
	Table                        table
}

func writePage(w io.Writer, rs []*result) error {
	p, err := newPage(rs)
	if err != nil {
		return err
	}
	return pageTemplate.Execute(w, p)
}

func newPage(rs []*result) (*page, error) {
	w := dress(rs)
	css := ":root{" + hueCSS(false) + "}\n@media (prefers-color-scheme:dark){:root{" + hueCSS(true) + "}}\n" + pageCSS
	p := &page{CSS: template.CSS(css)}
	p.Facts, p.Mixed = facts(rs)
	var err error
	if p.Legend, err = w.legend(armsOf(rs)); err != nil {
		return nil, err
	}
	ids := map[*result]string{}
	for i, r := range rs {
		ids[r] = "scenario-" + strconv.Itoa(i+1)
		s, err := newSection(r, w, ids[r])
		if err != nil {
			return nil, fmt.Errorf("scenario %q: %w", r.Scenario, err)
		}
		p.Scenarios = append(p.Scenarios, s)
	}
	for _, g := range families(rs) {
		m, err := newMatrix(g, w, ids)
		if err != nil {
			return nil, err
		}
		p.Groups = append(p.Groups, group{m.Base, scenarioNames(g), findings(g, w), m})
	}
	p.Series = seriesOf(rs)
	for _, s := range p.Series {
		if err := s.draw(w); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Title, err)
		}
	}
	return p, nil
}

func newSection(r *result, w wardrobe, id string) (section, error) {
	s := section{ID: id, Name: clean(r.Scenario), What: clean(r.What), Rounds: r.rounds(), File: clean(r.file), Base: clean(r.Arms[0])}
	for _, plot := range []func(*result, wardrobe) (figure, error){bars, latencies} {
		f, err := plot(r, w)
		if err != nil {
			return s, err
		}
		if f.SVG != "" {
			s.Figures = append(s.Figures, f)
		}
	}
	var err error
	s.Table, err = newTable(r, w)
	return s, err
}

// facts say where and when the figures were measured. They are mixed if the files
// differ in one of them other than the time: then the scenarios don't compare.
func facts(rs []*result) (fs []fact, mixed bool) {
	for _, f := range []struct {
		name string
		of   func(*result) string
	}{
		{"Kernel", func(r *result) string { return r.Kernel }},
		{"Go", func(r *result) string { return r.Go }},
		{"CPUs", func(r *result) string { return strconv.Itoa(r.CPUs) }},
		{"Network", func(r *result) string { return r.Network }},
	} {
		var values []string
		for _, r := range rs {
			if v := clean(f.of(r)); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		mixed = mixed || len(values) > 1
		fs = append(fs, fact{f.name, strings.Join(values, "; ")})
	}
	first, last := rs[0].modified, rs[0].modified
	for _, r := range rs {
		if r.modified.Before(first) {
			first = r.modified
		}
		if r.modified.After(last) {
			last = r.modified
		}
	}
	date := first.Format("2006-01-02 15:04")
	switch end := last.Format("2006-01-02"); {
	case end != first.Format("2006-01-02"):
		date += " to " + last.Format("2006-01-02 15:04")
	case last.Format("15:04") != first.Format("15:04"):
		date += " to " + last.Format("15:04")
	}
	fs = append(fs, fact{"Date of the files", date + last.Format(" MST")})
	return fs, mixed
}
