package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// proxy is what the loops share.
type proxy struct {
	config
	out, errs io.Writer
	group     *proactor.Group
	addr      net.Addr
	workers   map[*proactor.Loop]*worker
	balancer  balancer
	dialer    proactor.Dialer
	health    health
	gate      gate
	every     time.Duration // between two looks at the sessions

	placed  atomic.Int64 // sessions that have a place, of -max
	waiting atomic.Int64 // sessions that have none, or whose backends have no room

	shedding atomic.Bool // a session is being turned away to make room

	mu         sync.Mutex // of what is said
	complained time.Time
	silent     int // complaints since then that weren't made
}

// newProxy makes a proxy that listens.
func newProxy(c config, out, errs io.Writer) (*proxy, error) {
	p := &proxy{config: c, out: out, errs: errs, workers: map[*proactor.Loop]*worker{}}
	first, err := p.read()
	if err != nil {
		return nil, err
	}
	p.balancer.least = c.least
	p.balancer.list.Store(&first)
	p.dialer = proactor.Dialer{Timeout: c.connect}
	p.every = max(min(c.idle/8, c.connect/8, time.Second), 5*time.Millisecond)
	opts := []proactor.Option{proactor.WithBuffers(poolBuffers, bufferSize)}
	if c.engine != "" {
		opts = append(opts, proactor.WithEngineName(c.engine))
	}
	if p.group, err = proactor.NewGroup(proactor.GroupOptions{Loops: c.loops}, opts...); err != nil {
		return nil, err
	}
	if err := p.serve(); err != nil {
		return nil, errors.Join(err, p.group.Close())
	}
	return p, nil
}

// read returns the backends that the command line and the file name.
func (p *proxy) read() ([]*backend, error) {
	if p.file == "" {
		return parseBackends(strings.Join(p.servers, "\n"))
	}
	return readBackends(p.file)
}

func (p *proxy) serve() (err error) {
	for _, l := range p.group.Loops() {
		w := &worker{p: p, loop: l, pipes: newPipes()}
		p.workers[l] = w
		if _, err := l.Every(p.every, w.housekeeping); err != nil {
			return err
		}
	}
	first := p.group.Loops()[0]
	p.health.init(p, first)
	if err := p.watchSignals(first); err != nil {
		return err
	}
	network, address := "tcp", p.listen
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	if p.addr, err = p.group.Serve(network, address, p.accepted); err != nil {
		return err
	}
	n := room()
	if n < p.most {
		p.say("descriptors for %d sessions only (ulimit -n)", n)
	}
	if p.most == 0 || n < p.most {
		p.most = n
	}
	p.gate.init(p, p.group.Listeners())
	return nil
}

// accepted is the callback of the listeners.
func (p *proxy) accepted(c *proactor.Conn, err error) {
	switch {
	case err == nil:
		p.workers[c.Loop()].accepted(c)
	case !errors.Is(err, proactor.ErrClosed):
		p.complain("accept: ", err) // it goes on when it can
	}
}

// String says where the proxy listens and on which engine; of the fallback, why it came
// to that.
func (p *proxy) String() string {
	name, why := p.group.Loops()[0].Engine()
	line := fmt.Sprintf("listening on %v, engine %s", p.addr, name)
	if name != "io_uring" {
		line += " (" + why + ")"
	}
	return line
}

// run serves until ctx ends and the sessions have ended, or have been cut off when
// the time for that was over.
func (p *proxy) run(ctx context.Context) error {
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { drained <- p.drain() })
	err := p.group.Run(context.Background())
	if stop() {
		drained <- nil // it ended by itself
	}
	err = errors.Join(err, <-drained)
	p.say("%v", p.counters())
	for _, w := range p.workers {
		w.pipes.Close()
	}
	return err
}

// drain lets the sessions end.
func (p *proxy) drain() error {
	p.health.stop()
	ctx, cancel := context.WithTimeout(context.Background(), p.config.drain)
	defer cancel()
	r, err := p.group.Shutdown(ctx)
	if r.Cut > 0 {
		p.say("cut off %d connections that hadn't ended in %v", r.Cut, p.config.drain)
	}
	return err
}

// reload reads the list of backends anew. It is called on a loop, so a worker reads the
// file.
func (p *proxy) reload() {
	var fresh []*backend
	var failed error
	_, err := p.group.Loops()[0].Go(func() { fresh, failed = p.read() }, func(err error) {
		if err = errors.Join(err, failed); err != nil {
			p.say("reload: %v; the old list stays", err)
			return
		}
		p.replace(fresh)
	})
	if err != nil {
		p.say("reload: %v; the old list stays", err)
	}
}

func (p *proxy) replace(fresh []*backend) {
	added, removed := p.balancer.replace(fresh)
	open := int64(0)
	for _, b := range removed {
		open += b.open.Load()
	}
	p.say("reload: %d backends, %d of them new; %d removed, whose %d connections go on to their end",
		len(fresh), len(added), len(removed), open)
	p.health.watch(added)
	p.freed()
}

// place counts a session, unless there are as many as there may be.
func (p *proxy) place() bool {
	n := p.placed.Add(1)
	if n > p.most {
		p.placed.Add(-1)
		return false
	}
	if n == p.most {
		p.gate.update()
	}
	return true
}

// freed tells that there may be room for those who wait.
func (p *proxy) freed() {
	if p.gate.closed.Load() {
		p.gate.update()
	}
	if p.waiting.Load() == 0 {
		return
	}
	for _, w := range p.workers {
		_ = w.loop.Post(w.serveWaiting) // else housekeeping does it
	}
}

// gate pauses accepting while there is no place: connections wait in the kernel's
// backlog then, and in the clients.
type gate struct {
	p         *proxy
	mu        sync.Mutex
	listeners []*proactor.Listener
	closed    atomic.Bool
}

func (g *gate) init(p *proxy, all []*proactor.Listener) {
	g.mu.Lock()
	g.p, g.listeners = p, all
	g.mu.Unlock()
	g.update()
}

// update opens or closes the gate, as it should be at this moment.
func (g *gate) update() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.p == nil {
		return
	}
	for {
		full := g.p.placed.Load() >= g.p.most || g.p.waiting.Load() > 0
		if full == g.closed.Load() {
			return
		}
		g.closed.Store(full)
		for _, ln := range g.listeners {
			if full {
				ln.PauseAccept()
			} else {
				ln.ResumeAccept()
			}
		}
		// Who gave a place back meanwhile may have found the gate open still: then there
		// is nobody else to see it.
	}
}

// say prints a line of the log.
func (p *proxy) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.errs, "proxy: "+format+"\n", args...)
}

// complain is for what can happen with every connection: one line in a second.
func (p *proxy) complain(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.complained) < time.Second {
		p.silent++
		return
	} else {
		p.complained = now
	}
	more := ""
	if p.silent > 0 {
		more = fmt.Sprintf(" (and %d other complaints)", p.silent)
		p.silent = 0
	}
	fmt.Fprintf(p.errs, "proxy: %s%v%s\n", what, err, more)
}
