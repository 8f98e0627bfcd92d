package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// series are scenarios that differ in one number only.
type series struct {
	Title     string
	Note      string // on what else differs; or empty
	Figures   []figure
	Legend    []legendEntry
	scenarios []*result // ascending
	kind      string
	axis      string
	x         func(*result) int
	unit      string
}

// seriesOf finds what can be plotted over the connections, or the depth of reads.
func seriesOf(rs []*result) []*series {
	var all []*series
	for _, r := range rs {
		l := r.Load
		if l.Churn || l.Pipe > 1 || l.Loops > 1 || l.Files == 0 && l.Conns <= 0 {
			continue
		}
		i := slices.IndexFunc(all, func(s *series) bool { return s.fits(r) })
		if i < 0 {
			i = len(all)
			all = append(all, newSeries(r))
		}
		all[i].add(r)
	}
	return slices.DeleteFunc(all, func(s *series) bool { return len(s.scenarios) < 2 })
}

// fits tells whether a scenario differs from the others in x only.
func (s *series) fits(r *result) bool {
	o := s.scenarios[0]
	a, b := r.Load, o.Load
	return related(r, o) && (a.Files > 0) == (b.Files > 0) && a.Direct == b.Direct && a.Size == b.Size && a.MiB == b.MiB
}

func newSeries(r *result) *series {
	s := &series{axis: "connections", unit: "request", kind: "Echo of " + byteCount(r.Load.Size) + " over the connections",
		x: func(r *result) int { return r.Load.Conns }}
	if r.Load.Files > 0 {
		s = &series{axis: "reads in flight", unit: "read", kind: "Random reads, cached, over the depth",
			x: func(r *result) int { return r.Load.Files }}
		if r.Load.Direct {
			s.kind = "Random reads, O_DIRECT, over the depth"
		}
	}
	s.scenarios = []*result{r}
	return s
}

// add leaves a scenario out that has the same x as one before: a line can't go
// through both. It is on the page with its own plots all the same.
func (s *series) add(r *result) {
	if slices.ContainsFunc(s.scenarios, func(o *result) bool { return s.x(o) == s.x(r) }) {
		return
	}
	s.scenarios = append(s.scenarios, r)
	slices.SortFunc(s.scenarios, func(a, b *result) int { return s.x(a) - s.x(b) })
}

// describe says which scenarios these are, and where only some connections send.
func (s *series) describe() {
	s.Title = s.kind + ": " + scenarioNames(s.scenarios)
	for _, r := range s.scenarios {
		if a := r.Load.Active; a > 0 && a < r.Load.Conns {
			s.Note += fmt.Sprintf("Of the %s connections, %s send. ", number(float64(r.Load.Conns), 0), number(float64(a), 0))
		}
	}
}

func scenarioNames(rs []*result) string {
	var names []string
	for _, r := range rs {
		names = append(names, clean(r.Scenario))
	}
	return strings.Join(names, ", ")
}

// draw adds the figures and the legend.
func (s *series) draw(w wardrobe) error {
	s.describe()
	var err error
	if s.Legend, err = w.legend(armsOf(s.scenarios)); err != nil {
		return err
	}
	rate := "Throughput, " + s.unit + "s per second"
	rateNote := "Higher is better. Where the load generator is the limit, this says little about a server."
	if s.unit == "read" {
		rate, rateNote = "IOPS", "Reads per second; higher is better."
	}
	for _, f := range []struct {
		title, caption string
		of             func(figures) float64
		decimals       int
	}{
		{"CPU per " + s.unit + ", µs", "Lower is better.", figures.cpu, 2},
		{rate, rateNote, figures.rate, 0},
	} {
		svg, err := s.figure(w, f.title, f.of, f.decimals)
		if err != nil {
			return err
		}
		if svg.SVG != "" {
			svg.Caption = f.caption + " Medians; both axes are logarithmic."
			s.Figures = append(s.Figures, svg)
		}
	}
	return nil
}

func (s *series) figure(w wardrobe, title string, of func(figures) float64, decimals int) (figure, error) {
	p := newPlot()
	addGrid(p, true, true)
	lo, hi := math.Inf(1), math.Inf(-1)
	desc := []string{"Medians for each arm over the " + s.axis + "."}
	for _, a := range drawingOrder(w, armsOf(s.scenarios)) {
		var points plotter.XYs
		var said []string
		for _, r := range s.scenarios {
			if !slices.Contains(r.Arms, a) {
				continue
			}
			// A logarithmic axis has no place for nothing.
			if y := r.spread(a, of).median; y > 0 {
				points = append(points, plotter.XY{X: float64(s.x(r)), Y: y})
				said = append(said, number(y, decimals)+" at "+number(float64(s.x(r)), 0))
				lo, hi = min(lo, y), max(hi, y)
			}
		}
		if len(points) > 0 {
			p.Add(&plotter.Line{XYs: points, LineStyle: w[a].line()}, glyphs{points, w[a].glyphStyle()})
			desc = append(desc, a+": "+strings.Join(said, ", ")+".")
		}
	}
	if hi <= 0 {
		return figure{}, nil
	}
	s.axes(p, lo, hi)
	svg, err := render(p, 330, described{s.Title + ": " + title, strings.Join(desc, " ")})
	return figure{Title: title, SVG: svg}, err
}

func (s *series) axes(p *plot.Plot, lo, hi float64) {
	var at []float64
	for _, r := range s.scenarios {
		at = append(at, float64(s.x(r)))
	}
	logAxis(&p.X, at[0], at[len(at)-1], 1.12)
	logAxis(&p.Y, lo, hi, 1.12)
	p.X.Label.Text = s.axis
	p.X.Tick.Marker = valueTicks{at, func(v float64) string { return number(v, 0) }}
	p.Y.Tick.Marker = logTicks{short}
}

// drawingOrder has the proactors last, so that they lie above the others.
func drawingOrder(w wardrobe, arms []string) []string {
	var ours, others []string
	for _, a := range arms {
		if w[a].ours {
			ours = append(ours, a)
		} else {
			others = append(others, a)
		}
	}
	return append(others, ours...)
}

// glyphs marks the points of a line. plotter.Scatter clips marks at the border.
type glyphs struct {
	points plotter.XYs
	style  draw.GlyphStyle
}

// Plot implements plot.Plotter.
func (g glyphs) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, pt := range g.points {
		c.DrawGlyphNoClip(g.style, vg.Point{X: x(pt.X), Y: y(pt.Y)})
	}
}

func byteCount(n int) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
