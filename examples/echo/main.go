// Command echo sends back what it receives, over TCP.
//
// It shows the raw form of package proactor: a connection is one struct that
// holds its buffer, one Op for receiving and one for sending, each with its
// callback bound once. The way of a request is: received, submit the send,
// sent, submit the next receive. Nothing on it allocates.
//
//	go run ./examples/echo -demo            # server and load in one, for 3 s
//	go run ./examples/echo -addr :7007      # until SIGINT or SIGTERM
//
// Kernel: io_uring wants Linux 5.11 (or 5.10.162), and is at its best from 6.6.
// On an older one, or where a container forbids io_uring, the same program runs
// on epoll; its first line of output says which it is.
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

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/pingpong"
)

// config is what the command line says.
type config struct {
	addr   string
	engine string // "" leaves the choice to PROACTOR_ENGINE, or to what works
	buffer int    // bytes for each connection
	demo   bool
	lasts  time.Duration // the demo
}

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
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := &config{lasts: 3 * time.Second}
	f := flag.NewFlagSet("echo", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&c.addr, "addr", "127.0.0.1:7007", "`address` to listen on; the demo takes a free port unless told")
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.IntVar(&c.buffer, "buf", 16<<10, "buffer of a connection in `bytes`")
	f.BoolVar(&c.demo, "demo", false, "measure with 64 connections of its own for 3 s, and exit")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || c.buffer < 1 {
		f.Usage()
		return nil, errors.New("wrong arguments")
	}
	given := false
	f.Visit(func(f *flag.Flag) { given = given || f.Name == "addr" })
	if c.demo && !given {
		c.addr = "127.0.0.1:0"
	}
	return c, nil
}

// run serves, or shows, until it is done or ctx ends.
func run(ctx context.Context, c *config, out, errs io.Writer) error {
	s, err := listen(c, errs)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, s)
	if c.demo {
		demo := pingpong.Demo{Serve: s.run, Addr: s.listener.Addr(), Engine: s.loop.Engine, Load: "connections, 64-byte messages"}
		return demo.Show(ctx, c.lasts, out)
	}
	return s.run(ctx)
}
