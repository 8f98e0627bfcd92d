// Command peers is the echo servers of other Go libraries, which bench compares
// this library with. Each is written as its library's documentation advises, with
// one poller and buffers of 16 KiB. The folder c has the same server in C, on
// io_uring and on epoll: what the kernel interfaces themselves cost.
//
//	go build -o peers . && ./peers -serve netpoll
//	cc -O2 -o io_uring c/io_uring.c && ./io_uring [each]
//	cc -O2 -o epoll c/epoll.c && ./epoll
//
// Every server listens on a free port of 127.0.0.1, prints its address as the first
// line of its standard output, serves until its standard input ends, and exits
// with 0. Run it with GOMAXPROCS=1, pinned to a core.
//
// It is a module of its own, so that the library doesn't depend on its peers.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
)

const bufferSize = 16 << 10

// peers starts serving on a listener, which it may take over. It returns at once.
var peers = map[string]func(net.Listener) error{
	"netpoll": serveNetpoll,
}

func main() {
	name := flag.String("serve", "", fmt.Sprintf("the library to serve with, of %v", slices.Sorted(maps.Keys(peers))))
	flag.Parse()
	if err := serve(*name); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func serve(name string) error {
	start := peers[name]
	if start == nil {
		return fmt.Errorf("no peer %q", name)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := start(ln); err != nil {
		return fmt.Errorf("serve with %s: %w", name, err)
	}
	fmt.Println(ln.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
