// Command proxy is a TCP proxy and load balancer: it accepts connections, makes one to a
// backend for each, and moves what comes on either to the other.
//
//	go run ./examples/proxy -addr 127.0.0.1:7080 127.0.0.1:9001 127.0.0.1:9002
//	go run ./examples/proxy -balance leastconn -backends FILE     # SIGHUP reads FILE again
//
// It shows how little of a stream a proactor's program has to see: a direction is one Op
// that splices into a pipe and out of it, and a slow reader holds the sender back by that
// alone. Small messages are cheaper through Buffers, so directions change over by what
// they see (direction.go). The rest is what such a program needs:
//
//   - backends take turns, or the one with the fewest connections is next; a connect that
//     fails or takes too long leads to the next one, -retries times (balance.go);
//   - health checks by connect: -check, -rise, -fall; without a backend that is up, clients
//     are reset (health.go);
//   - an end of a stream is passed on while the other direction goes on; an abort becomes
//     an abort, so that nobody takes a part for the whole (direction.go, session.go);
//   - limits on sessions (-max) and on connections of a backend (max= in its line): clients
//     wait in the backlog, or for room, but not longer than -connect (worker.go);
//   - who the client is, for backends that understand the PROXY protocol (header.go);
//   - SIGHUP reads the list again, a bad one changes nothing, and connections to backends
//     that are gone go on to their end (backends.go); SIGUSR1 prints the statistics;
//     SIGTERM stops accepting and lets the sessions end for at most -drain.
//
// A list has a backend in each line:
//
//	127.0.0.1:9001                      # host:port; what is behind a # is a comment
//	[::1]:9002 max=100 send-proxy=v2
//	unix:/run/app.sock send-proxy=v1
//
// To try it, with two backends that say who they are:
//
//	$ socat TCP-LISTEN:9001,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo I am one; cat' &
//	$ socat TCP-LISTEN:9002,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo I am two; cat' &
//	$ go run ./examples/proxy 127.0.0.1:9001 127.0.0.1:9002 &
//	listening on 127.0.0.1:7080, engine io_uring
//	$ echo hello | nc -N 127.0.0.1 7080
//	I am one
//	hello
//	$ echo hello | nc -N 127.0.0.1 7080
//	I am two
//	hello
//
// and when the second one has been killed:
//
//	proxy: 127.0.0.1:9002 is down: proactor: dial tcp 127.0.0.1:9002: connect: connection refused
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// config is what the command line says.
type config struct {
	listen  string
	engine  string // "" leaves the choice to PROACTOR_ENGINE, or to what works
	loops   int
	file    string   // of the list of backends
	servers []string // the list itself, where there is no file
	least   bool
	retries int
	most    int64 // sessions at a time

	connect, idle, drain time.Duration
	check                time.Duration // between two checks of a backend, 0 is none
	rise, fall           int

	relay int
}

// The ways of a direction.
const (
	relayAuto = iota
	relayBuffers
	relaySplice
)

func main() {
	c, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := run(ctx, c, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := &config{}
	f := flag.NewFlagSet("proxy", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		fmt.Fprintln(errs, "usage: proxy [flags] -backends FILE\n       proxy [flags] BACKEND...")
		f.PrintDefaults()
	}
	f.StringVar(&c.listen, "addr", "127.0.0.1:7080", "`address` to listen on, host:port or unix:path")
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.IntVar(&c.loops, "loops", 1, "`number` of loops, 0 is one for each processor")
	f.StringVar(&c.file, "backends", "", "`file` with a backend in each line, read again on SIGHUP")
	balance := f.String("balance", "roundrobin", "roundrobin, or leastconn: the backend with the fewest connections")
	f.IntVar(&c.retries, "retries", 3, "`number` of other backends that a client is offered when a connect fails")
	f.Int64Var(&c.most, "max", 0, "`number` of sessions at a time, accepting pauses there; 0 is as many as ulimit -n has room for")
	f.DurationVar(&c.connect, "connect", 5*time.Second, "`time` for a connect, and for waiting for room at a backend")
	f.DurationVar(&c.idle, "idle", 5*time.Minute, "`time` without a byte in either direction that ends a session")
	f.DurationVar(&c.drain, "drain", 30*time.Second, "`time` for the sessions to end after SIGTERM")
	f.DurationVar(&c.check, "check", 2*time.Second, "`time` between two health checks of a backend; 0 is none")
	f.IntVar(&c.rise, "rise", 2, "`number` of good checks that make a backend up")
	f.IntVar(&c.fall, "fall", 3, "`number` of failures in a row that make a backend down")
	relay := f.String("relay", "auto", "auto, or buffers or splice: how bytes move, to compare")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	c.servers = f.Args()
	err := c.choose(*balance, *relay)
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		fmt.Fprintln(errs, "proxy:", err)
		f.Usage()
	}
	return c, err
}

// choose understands the flags that are words.
func (c *config) choose(balance, relay string) error {
	switch balance {
	case "roundrobin":
	case "leastconn":
		c.least = true
	default:
		return fmt.Errorf("-balance %s: no such way", balance)
	}
	switch relay {
	case "auto":
	case "buffers":
		c.relay = relayBuffers
	case "splice":
		c.relay = relaySplice
	default:
		return fmt.Errorf("-relay %s: no such way", relay)
	}
	return nil
}

func (c *config) validate() error {
	switch {
	case (c.file == "") == (len(c.servers) == 0):
		return errors.New("want backends: either -backends or arguments")
	case c.retries < 0 || c.most < 0 || c.rise < 1 || c.fall < 1 || c.loops < 0:
		return errors.New("a number is too small")
	case c.connect <= 0 || c.idle <= 0 || c.drain < 0 || c.check < 0 || c.check > 0 && c.check < minCheck:
		return errors.New("a time is too short")
	}
	return nil
}

// run serves until ctx ends and the sessions are over.
func run(ctx context.Context, c *config, out, errs io.Writer) error {
	p, err := newProxy(*c, out, errs)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, p)
	return p.run(ctx)
}
