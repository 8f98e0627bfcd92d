package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"
)

// spread is a figure over the rounds.
type spread struct{ median, min, max float64 }

func spreadOf(fs []figures, of func(figures) float64) spread {
	v := make([]float64, len(fs))
	for i, f := range fs {
		v[i] = of(f)
	}
	slices.Sort(v)
	return spread{(v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[0], v[len(v)-1]}
}

// below tells whether even the worst round is better than the other's best.
func (s spread) below(o spread) bool { return s.max < o.min }

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (f figures) cpu() float64  { return us(f.CPU) / float64(f.Requests) }
func (f figures) rate() float64 { return float64(f.Requests) / f.Elapsed.Seconds() }
func (f figures) p50() float64  { return us(f.P50) }
func (f figures) p99() float64  { return us(f.P99) }
func (f figures) p999() float64 { return us(f.P999) }

func (r *result) spread(arm string, of func(figures) float64) spread {
	return spreadOf(r.Rounds[arm], of)
}

// ratio is an arm's CPU per request over the base arm's; NaN if that has none.
func (r *result) ratio(arm string) float64 {
	base := r.spread(r.base(), figures.cpu).median
	if base == 0 {
		return math.NaN()
	}
	return r.spread(arm, figures.cpu).median / base
}

// byCPU has the arms in the order of the plots: the cheapest first.
func (r *result) byCPU() []string {
	arms := slices.Clone(r.Arms)
	slices.SortStableFunc(arms, func(a, b string) int {
		return cmp.Compare(r.spread(a, figures.cpu).median, r.spread(b, figures.cpu).median)
	})
	return arms
}

// number formats with a fixed count of decimals and separated thousands.
func number(v float64, decimals int) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole := len(s)
	if decimals > 0 {
		whole -= decimals + 1
	}
	for i := whole - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "−" + s
	}
	return s
}

// short formats for a tick: 200k, 1.5M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	case v >= 1e3:
		return number(v, 0)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// micros formats microseconds for a tick: 50 µs, 2 ms, 1 s.
func micros(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + " s"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " µs"
}

func times(ratio float64) string {
	if math.IsNaN(ratio) {
		return "–"
	}
	return "×" + number(ratio, 2)
}
