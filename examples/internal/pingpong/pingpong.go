// Package pingpong is the load of the echo servers' demos: clients that send a message,
// wait until it is back, and check each byte.
package pingpong

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

const (
	clients     = 64
	messageSize = 64
	patience    = 5 * time.Second // how long a client waits for an answer
)

// Demo shows a server.
type Demo struct {
	Serve  func(context.Context) error // runs it until the context ends
	Addr   net.Addr                    // of a stream or of datagrams
	Engine func() (name, why string)
	Load   string // what the report calls it, behind the number of clients
}

// client is one of the load, of package net. If it sends datagrams, it is connected to
// the server, and receives from there alone.
type client struct {
	conn      net.Conn
	datagrams bool
	random    *rand.ChaCha8
	out, in   []byte
	latencies []time.Duration
	err       error
}

// Show runs the server and the load side by side, for so long, and reports. When ctx
// ends, the load stops early; the server outlives it in any case.
func (d Demo) Show(ctx context.Context, lasts time.Duration, out io.Writer) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(serving) }()
	r, err := measure(ctx, d.Addr, lasts)
	stop()
	if e := <-ended; err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d %s, every byte checked, %.1f s\n", clients, d.Load, r.took.Seconds())
	r.print(out)
	name, why := d.Engine()
	fmt.Fprintf(out, "  engine       %s: %s\n", name, why)
	fmt.Fprintf(out, "  errors       %d\n", r.errors)
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
	_, datagrams := conn.(net.PacketConn)
	return &client{
		conn: conn, datagrams: datagrams, random: rand.NewChaCha8(seed),
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
	n, err := c.receive()
	if err != nil {
		return err
	}
	if !bytes.Equal(c.in[:n], c.out) {
		return fmt.Errorf("sent %x, got %x", c.out, c.in[:n])
	}
	return nil
}

func (c *client) receive() (int, error) {
	if c.datagrams {
		return c.conn.Read(c.in) // one, whatever its length
	}
	return io.ReadFull(c.conn, c.in[:messageSize])
}

// report is what the load saw.
type report struct {
	requests  int
	took, cpu time.Duration
	p50, p99  time.Duration
	errors    int
	first     error
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
	fmt.Fprintf(out, "  requests/s   %.0f\n", float64(r.requests)/r.took.Seconds())
	fmt.Fprintf(out, "  latency      p50 %v, p99 %v\n", r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond))
	if r.cpu > 0 {
		fmt.Fprintf(out, "  CPU/request  %v, the load's own included\n", (r.cpu / time.Duration(n)).Round(10*time.Nanosecond))
	}
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
