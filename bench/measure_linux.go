package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// measure starts one arm, loads it, and returns the figures.
func measure(arm string, l load) (f figures, err error) {
	if l.Files > 0 {
		return measureFiles(arm, l)
	}
	core, procs := serverCore, 1
	if l.Loops > 1 {
		core, procs = -1, cpus()
	}
	c, err := start(arm, core, procs)
	if err != nil {
		return f, err
	}
	f, err = l.put(c)
	if endErr := c.end(&f); err == nil {
		err = endErr
	}
	return f, err
}

// put puts the load on a server.
func (l load) put(c *child) (f figures, err error) {
	pid := c.cmd.Process.Pid
	empty := resident(pid)
	n := max(l.Loops, 1)
	runtime.GOMAXPROCS(n)
	ended := make(chan error, n)
	gens := make([]*generator, n)
	for i := range gens {
		if gens[i], err = newGenerator(l, n, c.addr); err != nil {
			return f, err
		}
		go gens[i].run(ended)
	}
	end := func(err error) error {
		for _, g := range gens {
			_ = g.loop.Close()
		}
		return err
	}
	for _, g := range gens {
		select {
		case <-g.ready:
		case err := <-ended:
			return f, end(err)
		}
	}
	f.Memory = resident(pid)
	f.PerConn = float64(f.Memory-empty) / float64(l.Conns)
	for _, g := range gens {
		_ = g.loop.Post(g.begin)
	}
	if err := window(l.Time/4, ended); err != nil { // warm
		return f, end(err)
	}
	c.mark()
	f.count(pid, gens, -1)
	begun := time.Now()
	if err := window(l.Time, ended); err != nil {
		return f, end(err)
	}
	f.Elapsed = time.Since(begun)
	latencies := f.count(pid, gens, 1)
	c.mark()
	f.P50, f.P99, f.P999 = latencies.quantile(0.5), latencies.quantile(0.99), latencies.quantile(0.999)
	if f.Memory < resident(pid) {
		f.Memory = resident(pid)
	}
	counted := syscalls(pid)
	var more figures
	more.count(pid, gens, -1)
	err = window(l.Time/4, ended)
	more.count(pid, gens, 1)
	f.Syscalls = float64(counted()) / float64(max(more.Requests, 1))
	c.mark()
	if err == nil {
		err = drain(gens, ended)
	}
	if err == nil && f.Requests == 0 {
		err = errMissing
	}
	return f, end(err)
}

// answerTime is longer than any server takes to answer.
const answerTime = 5 * time.Second

// drain waits for the answers to all requests that are under way.
func drain(gens []*generator, ended <-chan error) error {
	late := time.After(answerTime)
	for _, g := range gens {
		_ = g.loop.Post(g.stop)
	}
	for _, g := range gens {
		select {
		case <-g.drained:
		case err := <-ended:
			return err
		case <-late:
			return errMissing
		}
	}
	return nil
}

// window lets time go by, unless a generator ends.
func window(d time.Duration, ended <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-ended:
		return err
	}
}

// count adds what there is now, times sign, and returns the latencies since the
// last time.
func (f *figures) count(pid int, gens []*generator, sign int) *histogram {
	f.CPU += time.Duration(sign) * cpuTime(pid)
	f.LoadCPU += time.Duration(sign) * cpuTime(os.Getpid())
	all := new(histogram)
	for _, g := range gens {
		done := make(chan struct{})
		err := g.loop.Post(func() {
			defer close(done)
			f.Requests += sign * g.requests
			all.merge(&g.latencies)
			g.latencies = histogram{}
		})
		if err == nil { // else it has failed, which the next window tells
			<-done
		}
	}
	return all
}

// generator is a loop that sends requests.
type generator struct {
	load
	addr      string
	loop      *proactor.Loop
	pinned    bool
	ready     chan struct{}
	clients   []*client
	missing   int
	latencies histogram
	requests  int
	busy      int // clients that have a request under way
	stopping  bool
	drained   chan struct{}
	err       error
}

func newGenerator(l load, share int, addr string) (*generator, error) {
	loop, err := proactor.New(proactor.WithMaxCalls(1 << 20))
	if err != nil {
		return nil, err
	}
	g := &generator{load: l, addr: addr, loop: loop, pinned: share == 1, ready: make(chan struct{}), drained: make(chan struct{})}
	g.Conns, g.Active = l.Conns/share, l.Active/share
	if g.Active == 0 {
		g.Active = g.Conns
	}
	return g, nil
}

// run runs the generator's loop to its end.
func (g *generator) run(ended chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread, with its mask, ends here
	if !g.pinned {
		pin(-1)
	}
	if g.Churn {
		close(g.ready)
	} else {
		g.missing = g.Conns
		_ = g.loop.Post(func() {
			for range min(dialsAtOnce, g.Conns) {
				g.dial()
			}
		})
	}
	err := g.loop.Run(context.Background())
	if err == nil {
		err = g.err
	}
	ended <- err
}

// dialsAtOnce is how many connections are being made at a time: fewer than any
// server's backlog.
const dialsAtOnce = 64

func (g *generator) fail(err error) {
	if g.err == nil {
		g.err = err
	}
	_ = g.loop.Close()
}
