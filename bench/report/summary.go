package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// matrix has the ratios of CPU per request for related scenarios.
type matrix struct {
	Base string
	Arms []legendEntry
	Rows []matrixRow
}

type matrixRow struct {
	Scenario string
	What     string
	ID       string
	Cells    []ratioCell
}

// ratioCell is empty where a scenario doesn't have the arm.
type ratioCell struct {
	Text  string
	Class string
	Best  bool
}

// families groups related scenarios: requests before file reads, and the largest
// family first, which has the library's own scenarios.
func families(rs []*result) [][]*result {
	var groups [][]*result
	for _, r := range rs {
		i := slices.IndexFunc(groups, func(g []*result) bool { return related(g[0], r) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	slices.SortStableFunc(groups, func(a, b []*result) int {
		return cmp.Or(cmp.Compare(min(a[0].Load.Files, 1), min(b[0].Load.Files, 1)), cmp.Compare(len(b), len(a)))
	})
	return groups
}

// related tells whether scenarios ask the same question: they have the same kind of
// load and the same base, and most of their arms are the same. Not all need be, for an
// arm may have no way to do one of them.
func related(a, b *result) bool {
	common := 0
	for _, arm := range a.Arms {
		if slices.Contains(b.Arms, arm) {
			common++
		}
	}
	return a.Load.Kind == b.Load.Kind && a.base() == b.base() && 2*common >= len(a.Arms)+len(b.Arms)-common
}

func newMatrix(rs []*result, w wardrobe, id map[*result]string) (matrix, error) {
	arms := armsOf(rs)
	legend, err := w.legend(arms)
	m := matrix{Base: clean(rs[0].base()), Arms: legend}
	for _, r := range rs {
		row := matrixRow{Scenario: clean(r.Scenario), What: clean(r.What), ID: id[r]}
		best := r.byCPU()[0]
		for _, a := range arms {
			cell := ratioCell{}
			if slices.Contains(r.Arms, a) {
				v := r.ratio(a)
				cell = ratioCell{times(v), shade(v), a == best}
			}
			row.Cells = append(row.Cells, cell)
		}
		m.Rows = append(m.Rows, row)
	}
	return m, err
}

// shade is a cell's CSS class: how far a ratio is from 1. The numbers say the same.
func shade(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return ""
	case ratio <= 0.6:
		return "less3"
	case ratio <= 0.8:
		return "less2"
	case ratio <= 0.95:
		return "less1"
	case ratio >= 1.5:
		return "more2"
	case ratio >= 1.05:
		return "more1"
	}
	return ""
}

// finding says how one proactor arm stands to the base over the scenarios.
type finding struct {
	Arm  string
	Text string
}

// findings count only what the rounds support: a scenario is clear if an arm's
// worst round is better than the base's best, or the reverse.
func findings(rs []*result, w wardrobe) []finding {
	base := rs[0].base()
	var fs []finding
	for _, a := range armsOf(rs) {
		if !w[a].ours || a == base {
			continue
		}
		if t := compareArm(rs, a, base); t != "" {
			fs = append(fs, finding{clean(a), t})
		}
	}
	return fs
}

func compareArm(rs []*result, arm, base string) string {
	var of, clearlyLess int
	var more []string
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, r := range rs {
		if !slices.Contains(r.Arms, arm) {
			continue
		}
		ratio := r.ratio(arm)
		if math.IsNaN(ratio) {
			continue
		}
		of++
		lo, hi = min(lo, ratio), max(hi, ratio)
		switch mine, its := r.spread(arm, figures.cpu), r.spread(base, figures.cpu); {
		case mine.below(its):
			clearlyLess++
		case its.below(mine):
			more = append(more, clean(r.Scenario))
		}
	}
	if of == 0 {
		return ""
	}
	scenarios := fmt.Sprintf("of %d scenarios", of)
	if of == 1 {
		scenarios = "of 1 scenario"
	}
	s := fmt.Sprintf("%s the CPU per request of %s; in %d %s clearly less", interval(lo, hi), clean(base), clearlyLess, scenarios)
	if rs[0].Load.Files > 0 {
		s = strings.Replace(s, "per request", "per read", 1)
	}
	if len(more) > 0 {
		s += fmt.Sprintf(", in %d clearly more (%s)", len(more), strings.Join(more, ", "))
	}
	return s + "."
}

func interval(lo, hi float64) string {
	if times(lo) == times(hi) {
		return times(lo)
	}
	return times(lo) + " to " + times(hi)
}
