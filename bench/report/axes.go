package main

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"
)

// logTicks are ticks at round multiples of the powers of ten: more of them the
// shorter the range is; over a long range only the powers have labels.
type logTicks struct{ label func(float64) string }

// Ticks implements plot.Ticker.
func (t logTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	steps, wide := []float64{1, 2, 5}, false
	switch decades := math.Log10(hi / lo); {
	case decades < 0.3:
		steps = []float64{1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9}
	case decades < 0.9:
		steps = []float64{1, 1.5, 2, 3, 4, 5, 7}
	case decades > 2.2:
		wide = true
	}
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		for _, m := range steps {
			v := m * math.Pow(10, e)
			if v < lo || v > hi {
				continue
			}
			tick := plot.Tick{Value: v}
			if m == 1 || !wide {
				tick.Label = t.label(v)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// valueTicks are ticks where there is data. Labels that would overlap are left out.
type valueTicks struct {
	values []float64 // ascending
	label  func(float64) string
}

// Ticks implements plot.Ticker.
func (t valueTicks) Ticks(lo, hi float64) []plot.Tick {
	const apart = 0.09 // of the axis
	var ticks []plot.Tick
	last := math.Inf(-1)
	for _, v := range t.values {
		tick := plot.Tick{Value: v}
		if at := math.Log(v/lo) / math.Log(hi/lo); at-last > apart {
			tick.Label, last = t.label(v), at
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// logAxis has room on both sides: factor times the range of the data.
func logAxis(a *plot.Axis, lo, hi, factor float64) {
	a.Min, a.Max = lo/factor, hi*factor
	a.Scale = plot.LogScale{}
}

func addGrid(p *plot.Plot, vertical, horizontal bool) {
	line := draw.LineStyle{Color: hueOf("grid").color(), Width: 0.8}
	g := &plotter.Grid{}
	if vertical {
		g.Vertical = line
	}
	if horizontal {
		g.Horizontal = line
	}
	p.Add(g)
}
