package main

import (
	"math"
	"slices"
	"time"
)

// column is a figure of a scenario's table.
type column struct {
	name     string
	decimals int
	of       func(figures) float64
	zero     bool // can be measured; elsewhere it says that nothing was
}

// columns are those of bench's own tables; the first is always there, the others
// only if an arm has them.
func columns(unit string) []column {
	short, rate := "req", "req/s"
	if unit == "read" {
		short, rate = "read", "IOPS"
	}
	return []column{
		{"CPU µs/" + short, 2, figures.cpu, true},
		{rate, 0, figures.rate, false},
		{"p50 µs", 0, figures.p50, false},
		{"p99 µs", 0, figures.p99, false},
		{"p99.9 µs", 0, figures.p999, false},
		{"syscalls/" + short, 3, func(f figures) float64 { return f.Syscalls }, false},
		{"allocs/" + short, 4, func(f figures) float64 { return f.Allocs }, true},
		{"RSS MiB", 1, func(f figures) float64 { return float64(f.Memory) / (1 << 20) }, false},
		{"bytes/connection", 0, func(f figures) float64 { return f.PerConn }, true},
		{"sleeper late µs", 0, func(f figures) float64 { return us(f.Late) }, false},
		{"load µs/" + short, 2, func(f figures) float64 { return us(f.LoadCPU) / float64(f.Requests) }, false},
	}
}

// table is a scenario's figures.
type table struct {
	Columns []string
	Rows    []tableRow
}

type tableRow struct {
	Arm   legendEntry
	Ratio string
	Cells []tableCell
}

// tableCell has only a Median, a dash, if nothing was measured.
type tableCell struct{ Median, Min, Max string }

func newTable(r *result, w wardrobe) (table, error) {
	var t table
	var shown []column
	for i, c := range columns(r.unit()) {
		if i == 0 || c.shows(r) {
			shown = append(shown, c)
			t.Columns = append(t.Columns, c.name)
		}
	}
	legend, err := w.legend(r.Arms)
	if err != nil {
		return t, err
	}
	for i, a := range r.Arms {
		row := tableRow{Arm: legend[i], Ratio: times(r.ratio(a))}
		for _, c := range shown {
			row.Cells = append(row.Cells, c.cell(r.spread(a, c.of)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func (c column) cell(s spread) tableCell {
	if s.min == 0 && s.max == 0 && !c.zero {
		return tableCell{Median: "–"}
	}
	return tableCell{number(s.median, c.decimals), number(s.min, c.decimals), number(s.max, c.decimals)}
}

// shows tells whether any arm's median is more than the zeros of its decimals.
func (c column) shows(r *result) bool {
	least := 0.5 * math.Pow(10, -float64(c.decimals))
	return slices.ContainsFunc(r.Arms, func(a string) bool { return math.Abs(r.spread(a, c.of).median) >= least })
}

// rounds says how often and how long a scenario was measured.
func (r *result) rounds() string {
	lo, hi := len(r.Rounds[r.Arms[0]]), 0
	for _, a := range r.Arms {
		lo, hi = min(lo, len(r.Rounds[a])), max(hi, len(r.Rounds[a]))
	}
	s := number(float64(hi), 0) + " rounds"
	if hi == 1 {
		s = "1 round"
	}
	if lo != hi {
		s = number(float64(lo), 0) + " to " + s
	}
	if r.Load.Time > 0 {
		s += " of " + r.Load.Time.Round(time.Millisecond).String()
	}
	return s
}
