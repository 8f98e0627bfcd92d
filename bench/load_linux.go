package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// run connects to a server, sends requests one after the other on each
// connection, checks each answer, and returns the figures.
func (l load) run(addr string, pid int) (f figures, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pin(1)
	loop, err := proactor.New()
	if err != nil {
		return f, err
	}
	g := &generator{load: l, loop: loop, lat: make([]time.Duration, 0, 1<<20)}
	for range l.conns {
		if _, err := loop.Dial("tcp", addr, g.connected); err != nil {
			return f, err
		}
	}
	if _, err = loop.After(l.time/4, func(error) { g.begin(pid) }); err != nil { // warm
		return f, err
	}
	if err = loop.Run(context.Background()); err == nil {
		err = g.err
	}
	if err == nil && len(g.lat) == 0 {
		err = fmt.Errorf("no request was answered")
	}
	if err != nil {
		return f, err
	}
	slices.Sort(g.lat)
	f = g.figures
	f.p50, f.p99 = g.lat[len(g.lat)/2], g.lat[len(g.lat)*99/100]
	return f, nil
}

// generator is the load on one server.
type generator struct {
	load
	figures
	loop    *proactor.Loop
	lat     []time.Duration
	begun   time.Time
	counted bool
	err     error
}

// client is one connection: a request, then its answer.
type client struct {
	g        *generator
	conn     *proactor.Conn
	rd, wr   proactor.Op
	out, in  []byte
	n        int
	sent     time.Time
	sequence byte
}

func (g *generator) connected(c *proactor.Conn, err error) {
	if err != nil {
		g.fail(err)
		return
	}
	x := &client{g: g, conn: c, out: make([]byte, g.size), in: make([]byte, g.size)}
	for i := range x.out {
		x.out[i] = byte(rand.Uint32())
	}
	x.rd.Done, x.wr.Done = x.received, x.wrote
	x.request()
}

// begin starts the measurement, end ends it.
func (g *generator) begin(pid int) {
	g.counted, g.begun = true, time.Now()
	g.cpu, g.loadCPU = -cpuTime(pid), -cpuTime(os.Getpid())
	if _, err := g.loop.After(g.time, func(error) { g.end(pid) }); err != nil {
		g.fail(err)
	}
}

func (g *generator) end(pid int) {
	g.counted, g.elapsed = false, time.Since(g.begun)
	g.cpu += cpuTime(pid)
	g.loadCPU += cpuTime(os.Getpid())
	_ = g.loop.Close()
}

func (g *generator) fail(err error) {
	if g.err == nil && (g.elapsed == 0) {
		g.err = err
		_ = g.loop.Close()
	}
}

func (x *client) request() {
	x.sequence++
	x.out[0], x.n = x.sequence, 0
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
		x.g.fail(fmt.Errorf("wrong bytes in an answer"))
		return
	}
	if x.g.counted {
		x.g.requests++
		x.g.lat = append(x.g.lat, time.Since(x.sent))
	}
	x.request()
}
