// Command udpecho sends each datagram back to whom it came from, over UDP.
//
// It shows datagrams by completion: RecvEach brings each in a Buffer of the loop's pool,
// many by one system call, and the Buffer itself goes back to its sender. Answers that
// wait for their turn leave together, and those of one size to one client as one that
// the kernel cuts apart (UDP_SEGMENT). Nothing on the way allocates.
//
//	go run ./examples/udpecho -demo             # server and load in one, for 3 s
//	go run ./examples/udpecho -addr :7007       # until SIGINT or SIGTERM
//	echo hello | nc -u -w 1 127.0.0.1 7007      # or: socat -t 1 - UDP:127.0.0.1:7007
//
// It prints where it listens and what it has done:
//
//	listening on [::]:7007, engine io_uring
//	2 datagrams echoed, 12 bytes; 0 too long, 0 not sent
//
// At a wildcard address the answer to a datagram leaves from the address that it was
// sent to, as a client that is connected to this one expects. With -loops there are
// several sockets at the address (SO_REUSEPORT), and the kernel deals the clients out
// among them. With -gro it puts datagrams of one client together, and they go back so.
//
// SIGTERM and SIGINT end it when what has already come is answered; a second one kills.
//
// Kernel: io_uring wants Linux 5.11 (or 5.10.162), and is at its best from 6.6.
// Elsewhere the same program runs on epoll; its first line of output says which it is.
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
	loops  int
	size   int // the longest datagram in bytes
	room   int // of the kernel's receive buffer, in bytes
	gro    bool
	demo   bool
	lasts  time.Duration // the demo
}

// longest is the most that a datagram over UDP has, in bytes: over IPv6 without its
// extensions; over IPv4 it is 20 less.
const longest = 1<<16 - 1 - 8

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
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "udpecho:", err)
		os.Exit(1)
	}
}

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := &config{lasts: 3 * time.Second}
	f := flag.NewFlagSet("udpecho", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&c.addr, "addr", "127.0.0.1:7007", "`address` to listen on; the demo takes a free port unless told")
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.IntVar(&c.loops, "loops", 1, "`number` of loops, each with a socket and a thread; 0 is one for each CPU")
	f.IntVar(&c.size, "size", longest, "the longest datagram in `bytes`; longer ones are dropped")
	f.IntVar(&c.room, "rcvbuf", 4<<20, "room for datagrams that wait, in `bytes` (SO_RCVBUF; net.core.rmem_max is the most)")
	f.BoolVar(&c.gro, "gro", false, "have the kernel put datagrams of one client together (UDP_GRO)")
	f.BoolVar(&c.demo, "demo", false, "measure with 64 clients of its own for 3 s, and exit")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || c.size < 1 || c.size > longest || c.loops < 0 || c.room < 1 {
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

// run serves, or shows, until it is done or ctx ends, and says what has been done.
func run(ctx context.Context, c *config, out io.Writer) error {
	s, err := listen(c)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, s)
	if c.demo {
		demo := pingpong.Demo{Serve: s.run, Addr: s.addr(), Engine: s.group.Loops()[0].Engine, Load: "clients, datagrams of 64 bytes"}
		return demo.Show(ctx, c.lasts, out)
	}
	err = s.run(ctx)
	fmt.Fprintln(out, s.total())
	return err
}
