package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// What passes through the proxies: backends and clients are one loop of this program, so
// that they cost the core that they share as little as can be.

func init() {
	copies, auto := haproxy("haproxy", ""), haproxy("haproxy-splice-auto", "option splice-auto")
	splices := haproxy("haproxy-splice", "option splice-request\n  option splice-response")
	for _, l := range []traffic{
		{name: "proxy-echo", about: "64 B there and back, 64 connections", unit: "request", conns: 64, up: 64, down: 64},
		{name: "proxy-stream", about: "1 MiB from the backend for each byte of the client, 16 connections", unit: "MiB", conns: 16, up: 1, down: 1 << 20},
		{name: "proxy-both", about: "1 MiB there and 1 MiB back, 16 connections", unit: "request", conns: 16, up: 1 << 20, down: 1 << 20},
		{name: "proxy-visit", about: "a connection for each MiB from the backend, 16 at a time", unit: "MiB", conns: 16, up: 1, down: 1 << 20, visits: true},
	} {
		servers := []server{splices, copies, auto} // its best for streams
		if l.down < 1<<20 {
			servers = []server{copies, auto, splices}
		}
		c := contest{name: l.name, about: l.about, unit: l.unit, servers: append(servers, proxy("io_uring"), proxy("epoll"))}
		c.backend = func() (func(), error) { return l.serve() }
		c.load = func(at place, t time.Duration) (work, error) { return l.put(at.Addr, t) }
		contests = append(contests, c)
	}
}

// proxied are the addresses of the backends.
var proxied = []string{"127.0.0.1:7081", "127.0.0.1:7082"}

func proxy(engine string) server {
	return server{engine, func(at place) (*exec.Cmd, error) {
		args := []string{"-engine", engine, "-addr", at.Addr}
		if relay := os.Getenv("PROACTOR_VERSUS_RELAY"); relay != "" {
			args = append(args, "-relay", relay)
		}
		return ours("proxy", append(args, proxied...)...), nil
	}}
}

// haproxy has one thread, as the others have one loop. Without options it copies; with
// splice-auto it does so, too, with all of these loads (seen with strace, version 2.6.12).
func haproxy(name, options string) server {
	return server{name, func(at place) (*exec.Cmd, error) {
		file := filepath.Join(at.Dir, "haproxy.cfg")
		text := fmt.Sprintf(`global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout client 5m
  timeout server 5m
  %s
listen proxy
  bind %s
  balance roundrobin
  server a %s check
  server b %s check
`, options, at.Addr, proxied[0], proxied[1])
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return exec.Command("haproxy", "-db", "-q", "-f", file), nil
	}}
}

// traffic is clients that send up bytes and get down bytes, again and again.
type traffic struct {
	name, about, unit string
	conns             int
	up, down          int
	visits            bool // a connection for each time

	loop    *proactor.Loop
	ask     []byte
	answer  []byte
	done    float64
	active  int
	over    bool
	idle    chan struct{} // closed when the load has stopped
	err     error
	buffers [][]byte
	latency []time.Duration
}

// serve starts the backends. They tell the end of a request by its length.
func (t *traffic) serve() (stop func(), err error) {
	t.ask, t.answer = make([]byte, t.up), make([]byte, t.down)
	for i := range t.answer {
		t.answer[i] = byte(rand.Uint32())
	}
	copy(t.ask, t.answer)
	if t.loop, err = proactor.New(proactor.WithMaxCalls(1 << 20)); err != nil {
		return nil, err
	}
	for _, a := range proxied {
		ln, err := t.loop.Listen("tcp", a)
		if err != nil {
			return nil, errors.Join(err, t.loop.Close())
		}
		err = ln.AcceptEach(func(c *proactor.Conn, err error) {
			if err == nil {
				newEnd(t, c, t.ask, t.answer).receive()
			}
		})
		if err != nil {
			return nil, errors.Join(err, t.loop.Close())
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- t.loop.Run(context.Background()) }()
	return func() {
		_ = t.loop.Close()
		<-ended
	}, nil
}

// put loads a proxy.
func (t *traffic) put(addr string, d time.Duration) (work, error) {
	t.done, t.over, t.err, t.idle, t.latency = 0, false, nil, make(chan struct{}), t.latency[:0]
	t.active = t.conns
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
	return work{Units: t.done}, t.err
}

// dial makes a client.
func (t *traffic) dial(addr string) {
	_, err := t.loop.DialTimeout("tcp", addr, patience, func(c *proactor.Conn, err error) {
		if err != nil {
			t.fail(err)
			return
		}
		e := newEnd(t, c, t.answer, t.ask)
		e.client, e.addr = true, addr
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

func (e *end) send() { e.submit(e.wr.Send(e.conn, e.reply)) }

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
