package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// visitor connects, sends one byte, has it back, ends its side, waits for the end
// of the server's, closes, and does it again.
type visitor struct {
	g     *generator
	conn  *proactor.Conn
	sent  byte
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
	v.conn, v.sent = c, byte(rand.Uint32())
	v.b[0] = v.sent
	if _, err := c.Send(v.b[:], v.wrote); err != nil {
		v.g.fail(err)
	}
}

func (v *visitor) wrote(_ int, err error) {
	if err == nil {
		v.b[0] = ^v.sent
		_, err = v.conn.Recv(v.b[:], v.received)
	}
	if err != nil {
		v.g.fail(err)
	}
}

func (v *visitor) received(_ int, err error) {
	if err == nil && v.b[0] != v.sent {
		err = errWrong
	}
	if err == nil {
		err = atEnd(v.conn, v.ended)
	}
	if err != nil {
		v.g.fail(cut(err))
	}
}

func (v *visitor) ended(err error) {
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
