package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// traffic is clients that send ask and receive answer, again and again, on one loop of
// this program: they cost the load's core as little as can be. In contests of proxies the
// backends are on it, too.
type traffic struct {
	conns       int
	ask, answer []byte
	visits      bool // a connection for each time

	loop    *proactor.Loop
	done    float64
	active  int
	over    bool
	idle    chan struct{} // closed when the load has stopped
	err     error
	buffers [][]byte
	took    []int // exchanges by their us; the last are longer ones, too
}

// start starts the loop.
func (t *traffic) start() (stop func(), err error) {
	if t.loop, err = proactor.New(proactor.WithMaxCalls(1 << 20)); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- t.loop.Run(context.Background()) }()
	return func() {
		_ = t.loop.Close()
		<-ended
	}, nil
}

// put loads a server.
func (t *traffic) put(addr string, d time.Duration) (work, error) {
	t.done, t.over, t.err, t.idle = 0, false, nil, make(chan struct{})
	t.active = t.conns
	t.took = make([]int, 100_000)
	err := t.loop.Post(func() {
		for range t.conns {
			t.dial(addr)
		}
	})
	if err != nil {
		return work{}, err
	}
	if _, err := t.loop.After(d, func(error) { t.over = true }); err != nil {
		return work{}, err
	}
	select {
	case <-t.idle:
	case <-time.After(d + patience):
		return work{}, errors.New("the load hangs")
	}
	return work{Units: t.done, P99: t.p99()}, t.err
}

func (t *traffic) p99() time.Duration {
	left := int(t.done * 0.99)
	for us, n := range t.took {
		if left -= n; left < 0 {
			return time.Duration(us) * time.Microsecond
		}
	}
	return 0
}

// dial makes a client.
func (t *traffic) dial(addr string) {
	begun := time.Now()
	_, err := t.loop.DialTimeout("tcp", addr, patience, func(c *proactor.Conn, err error) {
		if err != nil {
			t.fail(err)
			return
		}
		e := newEnd(t, c, t.answer, t.ask)
		e.client, e.addr = true, addr
		if t.visits {
			e.begun = begun
		}
		e.send()
	})
	if err != nil {
		t.fail(err)
	}
}

func (t *traffic) fail(err error) {
	if t.err == nil {
		t.err = err
	}
	t.over = true
	t.leave()
}

func (t *traffic) leave() {
	if t.active--; t.active == 0 {
		close(t.idle)
	}
}

// end is a client, or a backend's side of a connection: it receives want and sends
// reply, in turns.
type end struct {
	t           *traffic
	conn        *proactor.Conn
	rd, wr      proactor.Op
	buf         []byte
	got         int
	want, reply []byte
	client      bool
	addr        string
	begun       time.Time // a client's exchange
}

func newEnd(t *traffic, c *proactor.Conn, want, reply []byte) *end {
	e := &end{t: t, conn: c, want: want, reply: reply}
	if n := len(t.buffers); n > 0 && len(want) > 64 {
		e.buf, t.buffers = t.buffers[n-1], t.buffers[:n-1]
	} else {
		e.buf = make([]byte, min(len(want), 256<<10))
	}
	e.rd.Done, e.wr.Done = e.received, e.sent
	return e
}

func (e *end) submit(o *proactor.Op) {
	if _, err := e.t.loop.Submit(o); err != nil {
		e.close(err)
	}
}

func (e *end) receive() { e.submit(e.rd.Recv(e.conn, e.buf[:min(len(e.buf), len(e.want)-e.got)])) }

func (e *end) send() {
	if e.client && !e.t.visits {
		e.begun = time.Now()
	}
	e.submit(e.wr.Send(e.conn, e.reply))
}

func (e *end) received(o *proactor.Op) {
	n, err := o.Result()
	if err != nil {
		e.close(err)
		return
	}
	if !bytes.Equal(e.buf[:n], e.want[e.got:e.got+n]) {
		e.close(errors.New("wrong bytes"))
		return
	}
	if e.got += n; e.got < len(e.want) {
		e.receive()
		return
	}
	e.got = 0
	switch {
	case !e.client:
		e.send()
	case e.again():
		e.send()
	}
}

// again counts what a client has done, and reports whether it goes on with it.
func (e *end) again() bool {
	t := e.t
	t.done++
	t.took[min(int(time.Since(e.begun)/time.Microsecond), len(t.took)-1)]++
	if t.over || t.visits {
		e.close(nil)
		return false
	}
	return true
}

func (e *end) sent(o *proactor.Op) {
	if _, err := o.Result(); err != nil {
		e.close(err)
		return
	}
	e.receive()
}

// close ends a connection. A backend's ends with its client's.
func (e *end) close(err error) {
	_ = e.conn.Close(nil)
	if len(e.buf) > 64 {
		e.t.buffers = append(e.t.buffers, e.buf)
	}
	switch {
	case !e.client:
	case err != nil && err != io.EOF:
		e.t.fail(err)
	case err == io.EOF:
		e.t.fail(io.ErrUnexpectedEOF)
	case e.t.visits && !e.t.over:
		e.t.dial(e.addr)
	default:
		e.t.leave()
	}
}
