// Command bench measures echo servers of several I/O models on this machine, one
// after the other in rounds, each in a child process of its own: a proactor (this
// library, on io_uring and on epoll), a reactor on epoll, and a goroutine for
// each connection (package net).
//
//	go run ./bench [-rounds 3] [-time 2s] [-conns 64] [-size 64] [-arms io_uring,epoll,net,reactor]
//
// With two cores or more, the server has core 0 and GOMAXPROCS=1, the load
// core 1. The load checks every byte. It needs Linux; io_uring where the arm does.
//
// The figure to look at is the server's CPU per request: requests per second say
// something only where the load isn't the limit. Figures are medians of the rounds.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	serve := flag.String("serve", "", "be the server of this arm (for the program itself)")
	arms := flag.String("arms", "net,reactor,epoll,io_uring", "what to measure; the first is what the others are compared with")
	rounds := flag.Int("rounds", 3, "rounds")
	d := flag.Duration("time", 2*time.Second, "length of a measurement")
	conns := flag.Int("conns", 64, "connections")
	size := flag.Int("size", 64, "bytes of a request")
	flag.Parse()
	var err error
	if *serve != "" {
		err = serveArm(*serve)
	} else {
		err = compare(strings.Split(*arms, ","), *rounds, load{conns: *conns, size: *size, time: *d})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
