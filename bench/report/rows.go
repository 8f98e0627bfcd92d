package main

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	rowHeight  vg.Length = 21
	labelRunes int       = 22 // of an arm's name on a plot; the tables have all of it
)

// rows is a plot with a row for each arm: the first is at the top.
type rows struct {
	arms []string
	w    wardrobe
	// right is what stands at the right of a row, from a value on; or nil.
	right func(row int) (from float64, text string)
	// draw draws a row; y is its middle.
	draw func(c *draw.Canvas, x func(float64) vg.Length, y vg.Length, row int)
}

func (r rows) plot() *plot.Plot {
	p := newPlot()
	p.HideY()
	p.Y.Min, p.Y.Max = -0.6, float64(len(r.arms))-0.4
	return p
}

func (r rows) height() vg.Length { return rowHeight*vg.Length(len(r.arms)) + 50 }

// label is an arm's name, bold for a proactor.
func (r rows) label(row int) (text.Style, string) {
	sty := text.Style{Color: color.Black, Font: regular, XAlign: text.XRight, YAlign: text.YCenter, Handler: plot.DefaultTextHandler}
	if r.w[r.arms[row]].ours {
		sty.Font = bold
	}
	name := []rune(clean(r.arms[row]))
	if len(name) > labelRunes {
		name = append(name[:labelRunes-1], '…')
	}
	return sty, string(name)
}

func (r rows) value(s string) (text.Style, string) {
	return text.Style{Color: color.Black, Font: regular, XAlign: text.XLeft, YAlign: text.YCenter, Handler: plot.DefaultTextHandler}, s
}

// GlyphBoxes implements plot.GlyphBoxer: it makes room for the text on both sides.
func (r rows) GlyphBoxes(p *plot.Plot) []plot.GlyphBox {
	const gap = 8
	var boxes []plot.GlyphBox
	box := func(x float64, left, width vg.Length) {
		rect := vg.Rectangle{Min: vg.Point{X: left}, Max: vg.Point{X: left + width}}
		boxes = append(boxes, plot.GlyphBox{X: x, Y: 0.5, Rectangle: rect})
	}
	for i := range r.arms {
		sty, s := r.label(i)
		w := sty.Width(s)
		box(0, -w-gap, w)
		if r.right != nil {
			from, s := r.right(i)
			sty, s := r.value(s)
			box(p.X.Norm(from), 0, sty.Width(s)+gap)
		}
	}
	return boxes
}

// Plot implements plot.Plotter.
func (r rows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i := range r.arms {
		at := y(float64(len(r.arms) - 1 - i))
		r.draw(&c, x, at, i)
		sty, s := r.label(i)
		// The middle of small letters is below that of the line.
		middle := at + sty.FontExtents().Descent/2
		c.FillText(sty, vg.Point{X: c.Min.X - 6, Y: middle}, s)
		if r.right != nil {
			from, s := r.right(i)
			sty, s := r.value(s)
			c.FillText(sty, vg.Point{X: x(from) + 6, Y: middle}, s)
		}
	}
}

// bars has the CPU per request of each arm, from the least to the most.
func bars(r *result, w wardrobe) (figure, error) {
	arms := r.byCPU()
	spreads := make([]spread, len(arms))
	top := 0.0
	desc := []string{"From the least to the most."}
	for i, a := range arms {
		spreads[i] = r.spread(a, figures.cpu)
		top = max(top, spreads[i].max)
		desc = append(desc, fmt.Sprintf("%s: %s, from %s to %s.", a, number(spreads[i].median, 2), number(spreads[i].min, 2), number(spreads[i].max, 2)))
	}
	rs := rows{arms: arms, w: w,
		right: func(i int) (float64, string) {
			return spreads[i].max, number(spreads[i].median, 2) + "\u00a0\u00a0\u00a0" + times(r.ratio(arms[i]))
		},
		draw: func(c *draw.Canvas, x func(float64) vg.Length, y vg.Length, i int) {
			bar(c, w[arms[i]], x(0), x(spreads[i].median), y)
			whisker(c, x(spreads[i].min), x(spreads[i].max), y)
		}}
	p := rs.plot()
	addGrid(p, true, false)
	p.Add(rs)
	p.X.Min, p.X.Max = 0, max(top, math.SmallestNonzeroFloat32)
	p.X.Label.Text = "µs per " + r.unit()
	title := "CPU per " + r.unit() + ", µs"
	svg, err := render(p, rs.height(), described{r.Scenario + ": " + title, strings.Join(desc, " ")})
	caption := fmt.Sprintf("Median and ratio to %s; the whiskers are the best and the worst round. Lower is better.", r.base())
	return figure{Title: title, Caption: caption, SVG: svg}, err
}

// bar is solid for a proactor, and pale with an outline for the others.
func bar(c *draw.Canvas, l look, x0, x1, y vg.Length) {
	const half = rowHeight * 0.34
	fill := l.color()
	if !l.ours {
		fill.A = 0x48
	}
	corners := []vg.Point{{X: x0, Y: y - half}, {X: x1, Y: y - half}, {X: x1, Y: y + half}, {X: x0, Y: y + half}, {X: x0, Y: y - half}}
	c.FillPolygon(fill, corners)
	c.StrokeLines(draw.LineStyle{Color: l.color(), Width: 1}, corners)
}

// whisker has a seam in the background's colour, to be seen on any bar.
func whisker(c *draw.Canvas, lo, hi, y vg.Length) {
	const cap = 3
	for _, line := range []draw.LineStyle{{Color: hueOf("bg").color(), Width: 3.2}, {Color: color.Black, Width: 1.2}} {
		c.StrokeLine2(line, lo, y, hi, y)
		c.StrokeLine2(line, lo, y-cap, lo, y+cap)
		c.StrokeLine2(line, hi, y-cap, hi, y+cap)
	}
}

// percentiles are what the latency plot shows, and its marks.
var percentiles = []struct {
	name string
	of   func(figures) float64
	mark glyph
}{
	{"p50", figures.p50, circle},
	{"p99", figures.p99, diamond},
	{"p99.9", figures.p999, triangle},
}

// latencies has the percentiles of each arm, in the rows of bars. It has no SVG if
// no latencies were measured.
func latencies(r *result, w wardrobe) (figure, error) {
	arms := r.byCPU()
	lo, hi := math.Inf(1), math.Inf(-1)
	desc := []string{"Medians of the rounds, in µs."}
	for _, a := range arms {
		var said []string
		for _, p := range percentiles {
			if v := r.spread(a, p.of).median; v > 0 {
				lo, hi = min(lo, v), max(hi, v)
				said = append(said, p.name+" "+number(v, 0))
			}
		}
		desc = append(desc, a+": "+strings.Join(said, ", ")+".")
	}
	if hi <= 0 {
		return figure{}, nil
	}
	rs := rows{arms: arms, w: w, draw: func(c *draw.Canvas, x func(float64) vg.Length, y vg.Length, i int) {
		latencyRow(c, r, arms[i], w[arms[i]], x, y)
	}}
	p := rs.plot()
	addGrid(p, true, false)
	p.Add(rs)
	logAxis(&p.X, lo, hi, 1.15)
	p.X.Tick.Marker = logTicks{micros}
	p.X.Label.Text = "latency, logarithmic"
	svg, err := render(p, rs.height(), described{r.Scenario + ": latency percentiles", strings.Join(desc, " ")})
	return figure{Title: "Latency", Caption: "● p50, ◆ p99, ▲ p99.9: medians of the rounds. Further left is better.", SVG: svg}, err
}

func latencyRow(c *draw.Canvas, r *result, arm string, l look, x func(float64) vg.Length, y vg.Length) {
	type mark struct {
		glyph
		at vg.Point
	}
	var marks []mark
	for _, p := range percentiles {
		// A logarithmic axis has no place for what wasn't measured.
		if v := r.spread(arm, p.of).median; v > 0 {
			g := p.mark
			g.hollow = !l.ours
			marks = append(marks, mark{g, vg.Point{X: x(v), Y: y}})
		}
	}
	line := l.line()
	line.Dashes = nil
	for i := 1; i < len(marks); i++ {
		c.StrokeLines(line, []vg.Point{marks[i-1].at, marks[i].at})
	}
	for _, m := range marks {
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: l.color(), Radius: 4, Shape: m.glyph}, m.at)
	}
}
