// Command peers is what bench compares this library with: the echo servers of other
// Go libraries, and a file reader on POSIX AIO. Each server is written as its
// library's documentation advises, with one poller and buffers of 16 KiB or more:
//
//   - gaio: an epoll, a goroutine for its events and another for the completions
//   - gain: an io_uring; gain-31 takes at most 31 completions at a time, so that
//     churn doesn't wait: see serveGain
//   - gnet: an epoll
//   - nbio: an epoll, and a goroutine that accepts
//   - netpoll: an epoll, and a pool of goroutines for the requests
//
// The folder c has the same server in C, on io_uring and on epoll: what the kernel
// interfaces themselves cost.
//
//	go build -ldflags=-checklinkname=0 -o peers . && ./peers -serve netpoll
//	./peers -read posix-aio FILE DEPTH DIRECT TIME
//	./peers -files 127.0.0.1:8080 DIR     # HTTP, by fasthttp
//	cc -O2 -o io_uring c/io_uring.c && ./io_uring [each]
//	cc -O2 -o epoll c/epoll.c && ./epoll
//
// The flag for the linker is for gain, which calls a function of package syscall
// that isn't exported.
//
// Every server listens on a free port of 127.0.0.1, prints its address as the first
// line of its standard output, serves until its standard input ends, and exits
// with 0. Run it with GOMAXPROCS=1, pinned to a core.
//
// A reader reads blocks of 4 KiB at random from a file whose blocks begin with their
// numbers (64 bits, little-endian), DEPTH at a time, and prints its figures as JSON.
//
// It is a module of its own, so that the library doesn't depend on its peers.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"

	"github.com/pawelgaczynski/gain"
)

const bufferSize = 16 << 10

// anyPort is what a server listens on, if its library can tell the port it got.
const anyPort = "127.0.0.1:0"

// peers starts a server and returns the address it listens on. It returns at once.
// Not every library serves on a listener that is there already.
var peers = map[string]func() (net.Addr, error){
	"gain":    func() (net.Addr, error) { return serveGain() },
	"gain-31": func() (net.Addr, error) { return serveGain(gain.WithMaxCQEvents(31)) },
	"gaio":    serveGaio,
	"gnet":    serveGnet,
	"nbio":    serveNbio,
	"netpoll": serveNetpoll,
}

func main() {
	name := flag.String("serve", "", fmt.Sprintf("the library to serve with, of %v", slices.Sorted(maps.Keys(peers))))
	reader := flag.String("read", "", fmt.Sprintf("the reader to read with, of %v", slices.Sorted(maps.Keys(readers))))
	files := flag.String("files", "", "serve the files of a directory by fasthttp, at this `address`")
	flag.Parse()
	var err error
	switch {
	case *reader != "":
		err = read(*reader, flag.Args())
	case *files != "":
		var ln net.Listener
		if ln, err = net.Listen("tcp", *files); err == nil {
			err = serveFiles(ln, flag.Arg(0))
		}
	default:
		err = serve(*name)
	}
	if err != nil {
		exit(err)
	}
}

func serve(name string) error {
	start := peers[name]
	if start == nil {
		return fmt.Errorf("no peer %q", name)
	}
	addr, err := start()
	if err != nil {
		return fmt.Errorf("serve with %s: %w", name, err)
	}
	fmt.Println(addr)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

var errStopped = errors.New("the server stopped")

// run calls a function that serves until it fails, and returns the address that
// says that it does. A failure after that is the end of the process.
func run(started <-chan net.Addr, serve func() error) (net.Addr, error) {
	stopped := make(chan error, 1)
	go func() { stopped <- errors.Join(errStopped, serve()) }()
	select {
	case addr := <-started:
		go func() { exit(<-stopped) }()
		return addr, nil
	case err := <-stopped:
		return nil, err
	}
}

func exit(err error) {
	fmt.Fprintln(os.Stderr, "peers:", err)
	os.Exit(1)
}
