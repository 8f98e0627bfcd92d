package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
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
	Notes     notes
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

func writePage(w io.Writer, rs []*result, n notes) error {
	p, err := newPage(rs, n)
	if err != nil {
		return err
	}
	return pageTemplate.Execute(w, p)
}

func newPage(rs []*result, n notes) (*page, error) {
	w := dress(rs)
	css := ":root{" + hueCSS(false) + "}\n@media (prefers-color-scheme:dark){:root{" + hueCSS(true) + "}}\n" + pageCSS
	p := &page{CSS: template.CSS(css), Notes: n}
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
	s := section{ID: id, Name: clean(r.Scenario), What: clean(r.What), Rounds: r.rounds(), File: clean(r.file), Base: clean(r.base())}
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

// facts say where and when the figures were measured, as far as the files tell. They
// are mixed if the files differ in one of them other than the time and the command:
// then the scenarios don't compare.
func facts(rs []*result) (fs []fact, mixed bool) {
	if d := dates(rs); d != "" {
		fs = append(fs, fact{"Measured", d})
	}
	for _, f := range []struct {
		name    string
		of      func(*result) string
		differs bool // it may, from file to file
	}{
		{"Kernel", func(r *result) string { return r.Kernel }, false},
		{"CPU", func(r *result) string { return r.CPU }, false},
		{"CPUs", func(r *result) string { return strconv.Itoa(r.CPUs) }, false},
		{"Go", func(r *result) string { return r.Go }, false},
		{"Network", func(r *result) string { return r.Network }, false},
		{"Command", func(r *result) string { return r.Command }, true},
	} {
		var values []string
		for _, r := range rs {
			if v := clean(f.of(r)); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		mixed = mixed || len(values) > 1 && !f.differs
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if len(values) > 0 {
			fs = append(fs, fact{f.name, strings.Join(values, "; ")})
		}
	}
	return fs, mixed
}

// dates are from the first to the last scenario's; none if no file has one.
func dates(rs []*result) string {
	var all []time.Time
	for _, r := range rs {
		if !r.Date.IsZero() {
			all = append(all, r.Date.UTC())
		}
	}
	if len(all) == 0 {
		return ""
	}
	first, last := slices.MinFunc(all, time.Time.Compare), slices.MaxFunc(all, time.Time.Compare)
	const day, minute = "2006-01-02", "15:04"
	s := first.Format(day + " " + minute)
	switch {
	case last.Format(day) != first.Format(day):
		s += " to " + last.Format(day+" "+minute)
	case last.Format(minute) != first.Format(minute):
		s += " to " + last.Format(minute)
	}
	return s + " UTC"
}
