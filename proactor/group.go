package proactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Group is several loops that serve together, each on a goroutine and a thread
// of its own.
type Group struct {
	loops     []*Loop
	opts      GroupOptions
	mu        sync.Mutex
	listeners []*Listener
	next      atomic.Uint32 // deals connections out
	panicked  atomic.Pointer[Panic]
}

// GroupOptions are the options of a Group; the zero value is the default.
type GroupOptions struct {
	// Loops is how many there are; 0 is GOMAXPROCS.
	Loops int
	// Deal lets one loop accept and deal the connections out in turn. Otherwise
	// each loop has a listening socket of its own at the same address
	// (SO_REUSEPORT), and the kernel chooses by the connection's addresses: no
	// hand-over, but with few connections the loops' shares can be uneven. Unix
	// sockets are always dealt out.
	Deal bool
	// Pin keeps each loop's thread on one CPU of those that the process may use.
	Pin bool
	// Listen are the options of the sockets of Serve.
	Listen ListenConfig
}

// NewGroup makes the loops, all with the same options. An error is that of New; then
// there are none.
func NewGroup(o GroupOptions, opts ...Option) (*Group, error) {
	if o.Loops <= 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	g := &Group{opts: o}
	for range o.Loops {
		l, err := New(opts...)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.loops = append(g.loops, l)
	}
	return g, nil
}

// Loops returns the loops, in a slice that is the Group's. Each can be used by itself,
// for ListenPacket for example: Group.Serve is for streams.
func (g *Group) Loops() []*Loop { return g.loops }

// Serve listens at the address, as Loop.Listen does, and calls each for every
// connection, on the loop that has it. Errors of accepting, and the ErrClosed at
// its end, go to each as well, with a nil Conn. It returns the address; an error
// closes the Group.
func (g *Group) Serve(network, address string, each func(*Conn, error)) (net.Addr, error) {
	n := len(g.loops)
	if g.opts.Deal || strings.HasPrefix(network, "unix") {
		n = 1
	}
	config := g.opts.Listen
	config.ReusePort = config.ReusePort || n > 1
	var addr net.Addr
	for i, l := range g.loops[:n] {
		ln, err := config.listen(l, network, address)
		if err != nil {
			return nil, errors.Join(opError("listen", network, address, err), g.Close())
		}
		g.mu.Lock()
		g.listeners = append(g.listeners, ln)
		g.mu.Unlock()
		if i == 0 { // the others take the port that the first was given
			addr = ln.Addr()
			address = addr.String()
		}
		accepted := each
		if n < len(g.loops) {
			accepted = func(c *Conn, err error) { g.deal(c, err, each) }
		}
		if err := ln.AcceptEach(accepted); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return addr, nil
}

// Listeners returns the sockets of Serve that listen: one, or one of each loop. After
// Shutdown there are none.
func (g *Group) Listeners() []*Listener {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.listeners)
}

// deal hands a connection to the loop whose turn it is.
func (g *Group) deal(c *Conn, err error, each func(*Conn, error)) {
	to := g.loops[int(g.next.Add(1)-1)%len(g.loops)]
	if err != nil || to == c.loop {
		each(c, err)
		return
	}
	if err := c.Move(to, each); err != nil {
		each(nil, err)
	}
}

// Panic is what a panic in a callback of one of a Group's loops becomes when
// Run passes it on.
type Panic struct {
	Value any    // of the panic
	Stack []byte // of the loop's goroutine
}

// Error has the panic's value and the stack.
func (p *Panic) Error() string { return fmt.Sprintf("panic in a loop: %v\n\n%s", p.Value, p.Stack) }

// Run runs all loops until the context ends or the Group is closed, and returns
// the first error of Loop.Run. If a callback panics the other loops are closed,
// and Run panics with a *Panic.
func (g *Group) Run(ctx context.Context) error {
	errs := make([]error, len(g.loops))
	var wg sync.WaitGroup
	for i := range g.loops {
		wg.Go(func() { errs[i] = g.runOne(ctx, i) })
	}
	wg.Wait()
	if p := g.panicked.Load(); p != nil {
		panic(p)
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) runOne(ctx context.Context, i int) error {
	returned := false
	defer func() {
		if returned {
			return
		}
		p := &Panic{Value: recover(), Stack: debug.Stack()}
		if p.Value != nil { // else a Goexit: the loop has ended, and so do the others
			g.panicked.CompareAndSwap(nil, p)
		}
		for _, l := range g.loops {
			l.seal()
		}
	}()
	if g.opts.Pin {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer pinThread(i)()
	}
	err := g.loops[i].Run(ctx)
	returned = true
	return err
}

// Close closes all loops (rule 8), and waits for it; called from a callback it only asks,
// and Run returns then. Any goroutine may call it.
func (g *Group) Close() error {
	for _, l := range g.loops {
		l.seal()
	}
	for _, l := range g.loops {
		if l.mine() { // in a callback: Run sees to the rest
			return nil
		}
	}
	var all error
	for _, l := range g.loops {
		all = errors.Join(all, l.Close())
	}
	return all
}

// stopListening closes the listeners. The channel is closed when they are, or
// their loops.
func (g *Group) stopListening() (<-chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all error
	var wg sync.WaitGroup
	for _, ln := range g.listeners {
		closed := make(chan struct{})
		switch err := ln.Close(func(error) { close(closed) }); {
		case err == nil:
			wg.Go(func() {
				select {
				case <-closed:
				case <-ln.loop.done:
				}
			})
		case !errors.Is(err, ErrClosed):
			all = errors.Join(all, err)
		}
	}
	g.listeners = nil
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	return done, all
}
