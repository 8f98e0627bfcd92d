package main

import (
	"encoding/json"
	"fmt"
	"io"
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
	work
	Elapsed  time.Duration
	CPU      time.Duration // of the server's processes, user and system
	LoadBusy float64       // of the load's core, 0 to 1; near 1 requests/s are the load's limit
	Memory   int64         // resident bytes of the process that was started
}

func (f figures) cpuPerUnit() float64 { return f.CPU.Seconds() * 1e6 / f.Units }
func (f figures) perSecond() float64  { return f.Units / f.Elapsed.Seconds() }
func (f figures) p99() float64        { return f.P99.Seconds() * 1e6 }
func (f figures) loadBusy() float64   { return f.LoadBusy * 100 }

// result is what -out writes.
type result struct {
	Contest string
	About   string
	Unit    string
	Date    time.Time
	Kernel  string
	CPU     string
	Go      string
	CPUs    int
	Network string
	Servers []string
	Rounds  map[string][]figures
}

func newResult(c contest) *result {
	return &result{Contest: c.name, About: c.about, Unit: c.unit, Date: time.Now().Round(time.Second), Kernel: lab.Kernel(), CPU: lab.Processor(),
		Go: runtime.Version(), CPUs: lab.CPUs(), Network: lab.Network(), Rounds: map[string][]figures{}}
}

func (r *result) print(to io.Writer) {
	if len(r.Servers) == 0 {
		return
	}
	base := r.Servers[0]
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tCPU us/%s\tmin\tmax\tx %s\t%ss/s\tx %s\tin each\tload's core %%\tp99 us\tRSS MiB\t\n", r.Unit, base, r.Unit, base)
	cpu, rate := median(r.Rounds[base], figures.cpuPerUnit), median(r.Rounds[base], figures.perSecond)
	for _, s := range r.Servers {
		fs := r.Rounds[s]
		all := sorted(fs, figures.cpuPerUnit)
		c, p := median(fs, figures.cpuPerUnit), median(fs, figures.perSecond)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.1f\t\n", s, c, all[0], all[len(all)-1], c/cpu, p, p/rate, r.inEach(s, base),
			median(fs, figures.loadBusy), median(fs, figures.p99), float64(fs[len(fs)-1].Memory)/(1<<20))
	}
	_ = w.Flush()
	fmt.Fprintln(to)
}

func (r *result) write(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Contest+".json"), append(b, '\n'), 0o644)
}

func sorted(fs []figures, of func(figures) float64) []float64 {
	var all []float64
	for _, f := range fs {
		all = append(all, of(f))
	}
	slices.Sort(all)
	return all
}

func median(fs []figures, of func(figures) float64) float64 {
	all := sorted(fs, of)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// inEach returns the median of the ratios that units a second had in each round: where
// the machine is quicker in one than in another, it doesn't show.
func (r *result) inEach(server, base string) float64 {
	var all []float64
	for i, f := range r.Rounds[server] {
		all = append(all, f.perSecond()/r.Rounds[base][i].perSecond())
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
