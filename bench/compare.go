package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
)

// figures are one measurement.
type figures struct {
	Requests int
	Elapsed  time.Duration
	CPU      time.Duration // of the server, user and system
	LoadCPU  time.Duration
	P50      time.Duration
	P99      time.Duration
	P999     time.Duration
	Syscalls float64       // of the server, for each request
	Allocs   float64       // of the server, for each request
	Late     time.Duration // how late a goroutine beside the server woke, on average
	Memory   int64         // resident bytes of the server with all connections open
	PerConn  float64       // resident bytes that a connection added
}

// result is what -out writes: one scenario's figures.
type result struct {
	Scenario string
	What     string
	Date     time.Time
	Kernel   string
	CPU      string
	Go       string
	CPUs     int
	Network  string
	Load     load
	Arms     []string
	Rounds   map[string][]figures
}

// compare measures a scenario's arms in rounds and prints a table. Arms that can't be
// measured on this system are left out; any other error is the end.
func compare(s settings, sc *scenario) (*result, error) {
	arms := s.arms
	if arms == nil {
		arms = sc.arms
		if s.peers {
			arms = append(slices.Clone(arms), sc.more...)
		}
	}
	l := sc.load
	l.Time = s.time
	if l.Files > 0 {
		l.MiB = s.mib
	}
	fmt.Printf("%s: %s; %d rounds of %v; %s, %d CPUs, %s\n", sc.name, sc.what, s.rounds, s.time, lab.Kernel(), lab.CPUs(), lab.Network())
	r := &result{Scenario: sc.name, What: sc.what, Date: time.Now().Round(time.Second), Kernel: lab.Kernel(), CPU: lab.Processor(), Go: runtime.Version(), CPUs: lab.CPUs(), Network: lab.Network(),
		Load: l, Rounds: map[string][]figures{}}
	for _, a := range arms {
		if err := unavailable(a, l); err != nil {
			fmt.Printf("  without %s: %v\n", a, err)
			continue
		}
		r.Arms = append(r.Arms, a)
	}
	if len(r.Arms) == 0 {
		fmt.Println()
		return r, nil
	}
	for range s.rounds {
		for _, a := range r.Arms {
			f, err := measure(a, l)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a, err)
			}
			r.Rounds[a] = append(r.Rounds[a], f)
		}
	}
	r.print()
	if s.out == "" {
		return r, nil
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(s.out, sc.name+".json"), append(b, '\n'), 0o644)
	}
	return r, err
}

// errNoArm is why an arm that was asked for has no figures in a scenario.
var errNoArm = errors.New("this scenario has no such arm")

// base is the arm that is the measure of the others.
func (r *result) base() string {
	if slices.Contains(r.Arms, "reactor") {
		return "reactor"
	}
	return r.Arms[0]
}

// columns of a table; a column that is empty in all rows is left out.
var columns = []struct {
	name   string
	format string
	of     func(figures) float64
}{
	{"req/s", "%.0f", func(f figures) float64 { return float64(f.Requests) / f.Elapsed.Seconds() }},
	{"p50 us", "%.0f", func(f figures) float64 { return us(f.P50) }},
	{"p99 us", "%.0f", func(f figures) float64 { return us(f.P99) }},
	{"p99.9 us", "%.0f", func(f figures) float64 { return us(f.P999) }},
	{"load us/req", "%.2f", func(f figures) float64 { return us(f.LoadCPU) / float64(f.Requests) }},
	{"syscalls/req", "%.3f", func(f figures) float64 { return f.Syscalls }},
	{"allocs/req", "%.4f", func(f figures) float64 { return f.Allocs }},
	{"sleeper late us", "%.0f", func(f figures) float64 { return us(f.Late) }},
	{"RSS MiB", "%.1f", func(f figures) float64 { return float64(f.Memory) / (1 << 20) }},
	{"B/conn", "%.0f", func(f figures) float64 { return f.PerConn }},
}

func (r *result) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	base := median(r.Rounds[r.base()], figures.cpuPerRequest)
	fmt.Fprintf(w, "\tCPU us/req\tmin\tmax\tx %s\t", r.base())
	var shown []int
	for i, c := range columns {
		if slices.ContainsFunc(r.Arms, func(a string) bool { return median(r.Rounds[a], c.of) > 0 }) {
			shown = append(shown, i)
			fmt.Fprintf(w, "%s\t", c.name)
		}
	}
	fmt.Fprintln(w)
	for _, a := range r.Arms {
		fs := r.Rounds[a]
		c := median(fs, figures.cpuPerRequest)
		lo, hi := bounds(fs, figures.cpuPerRequest)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t", a, c, lo, hi, c/base)
		for _, i := range shown {
			fmt.Fprintf(w, columns[i].format+"\t", median(fs, columns[i].of))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Println()
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (f figures) cpuPerRequest() float64 { return us(f.CPU) / float64(f.Requests) }

func values[T cmp.Ordered](fs []figures, of func(figures) T) []T {
	v := make([]T, len(fs))
	for i, f := range fs {
		v[i] = of(f)
	}
	slices.Sort(v)
	return v
}

func median(fs []figures, of func(figures) float64) float64 {
	v := values(fs, of)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func bounds(fs []figures, of func(figures) float64) (lo, hi float64) {
	v := values(fs, of)
	return v[0], v[len(v)-1]
}
