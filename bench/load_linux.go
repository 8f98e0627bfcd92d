package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// client is one connection: it sends requests, all of its pipeline at once, and
// checks the answers, which must be the same bytes.
type client struct {
	g       *generator
	conn    *proactor.Conn
	rd, wr  proactor.Op
	out, in []byte
	n       int // bytes received
	sent    time.Time
}

var (
	errWrong   = errors.New("wrong bytes in an answer")
	errMissing = errors.New("an answer, or a part of it, didn't come")
)

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
	if err != nil {
		g.fail(err)
	}
}

func newClient(g *generator, c *proactor.Conn) *client {
	x := &client{g: g, conn: c}
	if len(g.clients) >= g.Active {
		return x
	}
	n := g.Size * max(g.Pipe, 1)
	x.out, x.in = make([]byte, n), make([]byte, n)
	for i := range x.out {
		x.out[i] = byte(rand.Uint32())
	}
	x.rd.Done, x.wr.Done = x.received, x.wrote
	return x
}

// begin starts the requests.
func (g *generator) begin() {
	g.busy = g.Active
	if g.Churn {
		for range g.Conns {
			(&visitor{g: g}).visit()
		}
		return
	}
	for _, x := range g.clients[:g.Active] {
		x.request()
	}
}

// stop lets what is under way end, and closes drained then: an answer that a server
// has dropped would be missed in no other way.
func (g *generator) stop() { g.stopping = true }

// stopped is asked before each request. It counts those who make no further one.
func (g *generator) stopped() bool {
	if !g.stopping {
		return false
	}
	if g.busy--; g.busy == 0 {
		close(g.drained)
	}
	return true
}

func (x *client) request() {
	if x.g.stopped() {
		return
	}
	x.out[0]++
	x.n = 0
	x.sent = time.Now()
	x.submit(x.wr.Send(x.conn, x.out))
}

func (x *client) submit(o *proactor.Op) {
	if _, err := x.g.loop.Submit(o); err != nil {
		x.g.fail(err)
	}
}

func (x *client) wrote(o *proactor.Op) {
	if _, err := o.Result(); err != nil {
		x.g.fail(err)
		return
	}
	x.submit(x.rd.Recv(x.conn, x.in))
}

func (x *client) received(o *proactor.Op) {
	n, err := o.Result()
	if err != nil {
		x.g.fail(err)
		return
	}
	if x.n += n; x.n < len(x.in) {
		x.submit(x.rd.Recv(x.conn, x.in[x.n:]))
		return
	}
	if !bytes.Equal(x.in, x.out) {
		x.g.fail(errWrong)
		return
	}
	x.g.requests += max(x.g.Pipe, 1)
	x.g.latencies.add(time.Since(x.sent))
	x.request()
}

// visitor connects, sends one byte, has it back, closes, and does it again.
type visitor struct {
	g     *generator
	conn  *proactor.Conn
	b     [1]byte
	begun time.Time
}

func (v *visitor) visit() {
	if v.g.stopped() {
		return
	}
	v.begun = time.Now()
	if _, err := v.g.loop.Dial("tcp", v.g.addr, v.connected); err != nil && !errors.Is(err, net.ErrClosed) {
		v.g.fail(err)
	}
}

func (v *visitor) connected(c *proactor.Conn, err error) {
	if err != nil {
		v.g.fail(err)
		return
	}
	v.conn, v.b[0] = c, 'p'
	if _, err := c.Send(v.b[:], v.wrote); err != nil {
		v.g.fail(err)
	}
}

func (v *visitor) wrote(_ int, err error) {
	if err == nil {
		v.b[0] = 0
		_, err = v.conn.Recv(v.b[:], v.received)
	}
	if err != nil {
		v.g.fail(err)
	}
}

func (v *visitor) received(_ int, err error) {
	if err == nil && v.b[0] != 'p' {
		err = errWrong
	}
	if err == nil {
		err = v.conn.Close(v.closed)
	}
	if err != nil {
		v.g.fail(err)
	}
}

func (v *visitor) closed(error) {
	v.g.requests++
	v.g.latencies.add(time.Since(v.begun))
	v.visit()
}
