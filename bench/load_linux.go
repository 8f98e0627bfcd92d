package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
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
	want    []byte // the answer
	fixed   bool   // all requests are the same
	n       int    // bytes received
	sent    time.Time
	slow    bool // the server takes its time over this request
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
	x.want = x.out
	switch g.Kind {
	case sendfile:
		x.out, x.want, x.fixed = x.out[:1], fileContents(g.Size), true
	case hello:
		x.out, x.want, x.fixed = []byte(helloRequest), []byte(helloAnswer), true
		x.in = make([]byte, len(x.want))
	}
	x.rd.Done, x.wr.Done = x.received, x.wrote
	return x
}

func (x *client) request() {
	if x.g.stopped() {
		return
	}
	for i := 0; i < len(x.out) && !x.fixed; i += x.g.Size {
		x.g.stamp(x.out[i:])
	}
	if x.g.Kind == slow {
		x.mark()
	}
	x.n = 0
	x.sent = time.Now()
	x.submit(x.wr.Send(x.conn, x.out))
}

// mark makes one request in so many a slow one.
func (x *client) mark() {
	x.slow = x.g.number%slowEvery == 0
	x.out[0] = 0
	if x.slow {
		x.out[0] = slowMark
	}
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
		x.g.fail(cut(err))
		return
	}
	if x.n += n; x.n < len(x.in) {
		x.submit(x.rd.Recv(x.conn, x.in[x.n:]))
		return
	}
	if !bytes.Equal(x.in, x.want) {
		x.g.fail(errWrong)
		return
	}
	x.count()
	x.request()
}

// count counts the answers. The time of a slow request is the handler's: it says
// nothing.
func (x *client) count() {
	x.g.requests += max(x.g.Pipe, 1)
	if !x.slow {
		x.g.latencies.add(time.Since(x.sent))
	}
}

// cut is the error of a receive that an answer was expected from.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return errMissing
	}
	return err
}

// finish ends the client's side, and waits for the end of the server's.
func (x *client) finish() {
	err := atEnd(x.conn, func(err error) {
		if err != nil {
			x.g.fail(err)
		} else if x.g.open--; x.g.open == 0 {
			close(x.g.finished)
		}
	})
	if err != nil {
		x.g.fail(err)
	}
}

// atEnd ends the client's side of a connection, and calls f with nil if the end of
// the stream is what comes from the server.
func atEnd(c *proactor.Conn, f func(error)) error {
	if _, err := c.CloseWrite(nil); err != nil {
		return err
	}
	_, err := c.Recv(make([]byte, 1), func(_ int, err error) {
		switch {
		case err == nil:
			err = errExtra
		case errors.Is(err, io.EOF):
			err = nil
		}
		f(err)
	})
	return err
}
