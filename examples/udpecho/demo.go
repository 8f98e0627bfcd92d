package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// The demo's load: each client sends a message and waits until it is back.
const (
	clients     = 64
	messageSize = 64
	patience    = 5 * time.Second // how long a client waits for an answer
)

// client is one socket of the load, of package net, connected to the server: it receives
// from there alone.
type client struct {
	conn      net.Conn
	random    *rand.ChaCha8
	out, in   []byte
	latencies []time.Duration
	err       error
}

// demo runs the server and the load side by side, and reports. When ctx ends,
// the load stops early; the server outlives it in any case.
func demo(ctx context.Context, s *server, d time.Duration, out io.Writer) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.run(serving) }()
	r, err := measure(ctx, s.addr(), d)
	stop()
	if e := <-ended; err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	r.engine, r.why = s.group.Loops()[0].Engine()
	r.print(out)
	return r.verdict()
}

// measure puts load on the address for d, or until ctx ends.
func measure(ctx context.Context, addr net.Addr, d time.Duration) (*report, error) {
	all := make([]*client, 0, clients)
	defer func() {
		for _, c := range all {
			c.conn.Close()
		}
	}()
	for len(all) < clients {
		c, err := dial(addr)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	start, cpu := time.Now(), cpuTime()
	var group sync.WaitGroup
	for _, c := range all {
		group.Go(func() { c.err = c.pingPong(ctx, start.Add(d)) })
	}
	group.Wait()
	return newReport(all, time.Since(start), cpuTime()-cpu), nil
}

func dial(addr net.Addr) (*client, error) {
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	return &client{
		conn: conn, random: rand.NewChaCha8(seed),
		out: make([]byte, messageSize), in: make([]byte, messageSize+1),
	}, nil
}

func (c *client) pingPong(ctx context.Context, end time.Time) error {
	if err := c.conn.SetDeadline(end.Add(patience)); err != nil {
		return err
	}
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		if err := c.exchange(); err != nil {
			return err
		}
		then := now
		now = time.Now()
		c.latencies = append(c.latencies, now.Sub(then))
	}
	return nil
}

// exchange sends bytes that can't be guessed, and checks each that comes back.
func (c *client) exchange() error {
	_, _ = c.random.Read(c.out) // never fails
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	n, err := c.conn.Read(c.in)
	if err != nil {
		return err
	}
	if !bytes.Equal(c.in[:n], c.out) {
		return fmt.Errorf("sent %x, got %x", c.out, c.in[:n])
	}
	return nil
}

// report is what the load saw.
type report struct {
	engine, why string
	requests    int
	took, cpu   time.Duration
	p50, p99    time.Duration
	errors      int
	first       error
}

func newReport(all []*client, took, cpu time.Duration) *report {
	r := &report{took: took, cpu: cpu}
	var latencies []time.Duration
	for _, c := range all {
		latencies = append(latencies, c.latencies...)
		if c.err != nil {
			r.errors++
			r.first = cmp.Or(r.first, c.err)
		}
	}
	slices.Sort(latencies)
	if r.requests = len(latencies); r.requests > 0 {
		r.p50, r.p99 = latencies[r.requests/2], latencies[r.requests*99/100]
	}
	return r
}

func (r *report) print(out io.Writer) {
	n := max(r.requests, 1)
	fmt.Fprintf(out, "%d clients, datagrams of %d bytes, every byte checked, %.1f s\n", clients, messageSize, r.took.Seconds())
	fmt.Fprintf(out, "  requests/s   %.0f\n", float64(r.requests)/r.took.Seconds())
	fmt.Fprintf(out, "  latency      p50 %v, p99 %v\n", r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond))
	if r.cpu > 0 {
		fmt.Fprintf(out, "  CPU/request  %v, the load's own included\n", (r.cpu / time.Duration(n)).Round(10*time.Nanosecond))
	}
	fmt.Fprintf(out, "  engine       %s: %s\n", r.engine, r.why)
	fmt.Fprintf(out, "  errors       %d\n", r.errors)
}

// verdict is nil if all went well.
func (r *report) verdict() error {
	switch {
	case r.errors > 0:
		return fmt.Errorf("%d of %d clients failed, the first: %w", r.errors, clients, r.first)
	case r.requests == 0:
		return fmt.Errorf("no request in %v", r.took)
	}
	return nil
}
