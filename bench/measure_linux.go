package main

import (
	"os"
	"runtime"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
)

// measure starts one arm, loads it, and returns the figures.
func measure(arm string, l load) (f figures, err error) {
	if l.Files > 0 {
		return measureFiles(arm, l)
	}
	core, procs := lab.ServerCore, 1
	if l.Loops > 1 {
		core, procs = -1, lab.CPUs()
	}
	c, err := start(l.server(arm), core, procs)
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
	empty := lab.Resident(pid)
	n := max(l.Loops, 1)
	runtime.GOMAXPROCS(n)
	gens, err := l.open(n, c.addr)
	if err != nil {
		return f, err
	}
	defer gens.close()
	f.Memory = lab.Resident(pid)
	if l.Kind != datagrams { // all of which come to one socket
		f.PerConn = float64(f.Memory-empty) / float64(l.Conns)
	}
	gens.post((*generator).begin)
	if err := gens.window(l.Time / 4); err != nil { // warm
		return f, err
	}
	c.mark()
	f.count(pid, gens, -1)
	begun := time.Now()
	if err := gens.window(l.Time); err != nil {
		return f, err
	}
	f.Elapsed = time.Since(begun)
	latencies := f.count(pid, gens, 1)
	c.mark()
	f.P50, f.P99, f.P999 = latencies.quantile(0.5), latencies.quantile(0.99), latencies.quantile(0.999)
	if f.Memory < lab.Resident(pid) {
		f.Memory = lab.Resident(pid)
	}
	counted := syscalls(pid)
	var more figures
	more.count(pid, gens, -1)
	err = gens.window(l.Time / 4)
	more.count(pid, gens, 1)
	f.Syscalls = float64(counted()) / float64(max(more.Requests, 1))
	c.mark()
	if err == nil {
		err = gens.drain()
	}
	if err == nil && f.Requests == 0 {
		err = errMissing
	}
	return f, err
}

// generators put one load on one server together.
type generators struct {
	all   []*generator
	ended chan error // gets what each ends with
}

// open makes n generators with all their connections.
func (l load) open(n int, addr string) (*generators, error) {
	gens := &generators{ended: make(chan error, n)}
	for range n {
		g, err := newGenerator(l, n, addr)
		if err != nil {
			gens.close()
			return nil, err
		}
		gens.all = append(gens.all, g)
		go g.run(gens.ended)
	}
	for _, g := range gens.all {
		select {
		case <-g.ready:
		case err := <-gens.ended:
			gens.close()
			return nil, err
		}
	}
	return gens, nil
}

func (gens *generators) close() {
	for _, g := range gens.all {
		_ = g.loop.Close()
	}
}

// post calls f for each generator, on its loop.
func (gens *generators) post(f func(*generator)) {
	for _, g := range gens.all {
		_ = g.loop.Post(func() { f(g) }) // refused if it has ended, which who waits is told
	}
}

// window lets time go by, unless a generator ends.
func (gens *generators) window(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-gens.ended:
		return err
	}
}

const (
	answerTime = 5 * time.Second  // longer than any server takes to answer
	endTime    = time.Millisecond // the same for the end of one of many connections
)

// drain waits for the answers to all requests that are under way, and then for the
// end of all connections: nothing else may come.
func (gens *generators) drain() error {
	gens.post((*generator).stop)
	if err := gens.await(func(g *generator) chan struct{} { return g.drained }, answerTime, errMissing); err != nil {
		return err
	}
	patience := answerTime
	for _, g := range gens.all {
		patience += time.Duration(g.Conns) * endTime
	}
	gens.post((*generator).finish)
	return gens.await(func(g *generator) chan struct{} { return g.finished }, patience, errOpen)
}

// await waits until each generator has closed a channel; late is the error if one
// doesn't in time.
func (gens *generators) await(closed func(*generator) chan struct{}, patience time.Duration, late error) error {
	timeout := time.After(patience)
	for _, g := range gens.all {
		select {
		case <-closed(g):
		case err := <-gens.ended:
			return err
		case <-timeout:
			return late
		}
	}
	return nil
}

// count adds what there is now, times sign, and returns the latencies since the
// last time.
func (f *figures) count(pid int, gens *generators, sign int) *histogram {
	f.CPU += time.Duration(sign) * lab.CPUTime(pid)
	f.LoadCPU += time.Duration(sign) * lab.CPUTime(os.Getpid())
	all := new(histogram)
	for _, g := range gens.all {
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
