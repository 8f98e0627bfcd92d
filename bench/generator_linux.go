package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// generator is a loop that sends requests.
type generator struct {
	load
	addr      string
	loop      *proactor.Loop
	pinned    bool
	ready     chan struct{} // closed when it can begin
	clients   []*client
	flows     []*flow
	missing   int // connections to be made
	latencies histogram
	requests  int
	limit     int    // begin no more requests than that; 0 is no limit
	begun     int    // requests
	number    uint64 // of the last request
	busy      int    // those that have a request under way
	stopping  bool
	drained   chan struct{} // closed when none of them has
	open      int           // connections that the server has not ended
	finished  chan struct{} // closed when it has ended all
	err       error
}

// What a server can do wrong. The first such error ends the run.
var (
	errWrong   = errors.New("wrong bytes in an answer")
	errMissing = errors.New("an answer, or a part of it, didn't come")
	errExtra   = errors.New("bytes behind the last answer")
	errOpen    = errors.New("the server doesn't end a connection whose client has ended its side")
)

func newGenerator(l load, share int, addr string) (*generator, error) {
	loop, err := proactor.New(proactor.WithMaxCalls(1 << 20))
	if err != nil {
		return nil, err
	}
	g := &generator{load: l, addr: addr, loop: loop, pinned: share == 1, number: rand.Uint64(),
		ready: make(chan struct{}), drained: make(chan struct{}), finished: make(chan struct{})}
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
		lab.Pin(-1)
	}
	_ = g.loop.Post(g.prepare)
	err := g.loop.Run(context.Background())
	if err == nil {
		err = g.err
	}
	ended <- err
}

// dialsAtOnce is how many connections are being made at a time: fewer than any
// server's backlog.
const dialsAtOnce = 64

// prepare makes the connections that the load needs from its beginning.
func (g *generator) prepare() {
	switch {
	case g.Churn:
		close(g.ready)
	case g.Kind == datagrams:
		g.openFlows()
	default:
		g.missing = g.Conns
		for range min(dialsAtOnce, g.Conns) {
			g.dial()
		}
	}
}

func (g *generator) fail(err error) {
	if g.err == nil {
		g.err = err
	}
	_ = g.loop.Close()
}

// dial makes the next connection, and when all are there says so.
func (g *generator) dial() {
	g.missing--
	_, err := g.loop.Dial("tcp", g.addr, func(c *proactor.Conn, err error) {
		if err != nil {
			g.fail(err)
			return
		}
		g.clients = append(g.clients, newClient(g, c))
		if g.missing > 0 {
			g.dial()
		} else if len(g.clients) == g.Conns {
			close(g.ready)
		}
	})
	if err != nil && !errors.Is(err, net.ErrClosed) {
		g.fail(err)
	}
}

// begin starts the requests.
func (g *generator) begin() {
	switch {
	case g.Churn:
		g.busy = g.Conns
		for range g.Conns {
			(&visitor{g: g}).visit()
		}
	case g.Kind == datagrams:
		g.busy = len(g.flows) * max(g.Pipe, 1)
		for _, f := range g.flows {
			f.begin()
		}
	default:
		g.busy = g.Active
		for _, x := range g.clients[:g.Active] {
			x.request()
		}
	}
}

// stop lets what is under way end, and closes drained then: an answer that a server
// has dropped would be missed in no other way.
func (g *generator) stop() { g.stopping = true }

// stopped is asked before each request. It counts those who make no further one.
func (g *generator) stopped() bool {
	if !g.stopping && (g.limit == 0 || g.begun < g.limit) {
		g.begun++
		return false
	}
	if g.busy--; g.busy == 0 {
		close(g.drained)
	}
	return true
}

// stamp gives a request a number that no other has, behind its first byte: an
// answer to another request isn't taken for its own.
func (g *generator) stamp(request []byte) {
	g.number++
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], g.number)
	copy(request[1:], b[:])
}

// finish ends the client's side of all connections, and closes finished when the
// servers have ended theirs. Nothing may come before that.
func (g *generator) finish() {
	g.open = len(g.clients)
	for _, x := range g.clients {
		x.finish()
	}
	for _, f := range g.flows {
		f.finish()
	}
	if g.open == 0 {
		close(g.finished)
	}
}
