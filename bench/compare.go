package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// load is what the load generator does.
type load struct {
	conns int
	size  int
	time  time.Duration
}

// figures are one measurement.
type figures struct {
	requests int
	elapsed  time.Duration
	cpu      time.Duration // of the server
	loadCPU  time.Duration
	p50, p99 time.Duration
	late     time.Duration // how late a goroutine beside the server woke, on average
}

// compare measures the arms in rounds and prints a table.
func compare(arms []string, rounds int, l load) error {
	fmt.Printf("echo, %d connections, %d bytes; %d rounds of %v; %s, %d CPUs\n", l.conns, l.size, rounds, l.time, kernel(), runtime.NumCPU())
	all := map[string][]figures{}
	for range rounds {
		for _, a := range arms {
			f, err := measure(a, l)
			if err != nil {
				return fmt.Errorf("%s: %w", a, err)
			}
			all[a] = append(all[a], f)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "server\tCPU us/req\tmin\tmax\tx %s\treq/s\tp50 us\tp99 us\tload us/req\t1 ms sleeper late us\t\n", arms[0])
	base := median(all[arms[0]], figures.cpuPerRequest)
	for _, a := range arms {
		fs := all[a]
		c := median(fs, figures.cpuPerRequest)
		lo, hi := bounds(fs, figures.cpuPerRequest)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t\n", a, c, lo, hi, c/base,
			median(fs, figures.rate), median(fs, func(f figures) float64 { return us(f.p50) }),
			median(fs, func(f figures) float64 { return us(f.p99) }),
			median(fs, func(f figures) float64 { return us(f.loadCPU) / float64(f.requests) }),
			median(fs, func(f figures) float64 { return us(f.late) }))
	}
	return w.Flush()
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (f figures) cpuPerRequest() float64 { return us(f.cpu) / float64(f.requests) }

func (f figures) rate() float64 { return float64(f.requests) / f.elapsed.Seconds() }

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
