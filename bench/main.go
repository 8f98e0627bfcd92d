// Command bench measures servers and file readers of several I/O models on this
// machine, one after the other in rounds, each in a child process of its own: a
// proactor (this library, on io_uring and on epoll), reactors on epoll, a goroutine
// for each connection (package net), and the other textbook models: select, poll,
// busy polling, signals, threads, Linux AIO. With -peers there are servers in C
// and of other Go libraries, too, from the module in bench/peers.
//
//	go run ./bench [-scenarios small,many] [-arms net,io_uring] [-peers] [-rounds 3] [-time 2s] [-out DIR]
//
// With two cores or more the server has core 0 and GOMAXPROCS=1, the load core 1.
// As root it measures in a network namespace of its own, with congestion control
// reno. The load checks every byte. It needs Linux; io_uring where the arm does.
//
// The figure to look at is the server's CPU per request: requests per second say
// something only where the load isn't the limit. Figures are medians of the rounds;
// with -out, DIR gets all of them as JSON.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// settings are what the command line says.
type settings struct {
	rounds int
	time   time.Duration
	arms   []string // nil: the scenario's own
	peers  bool
	out    string
	mib    int
}

func main() {
	serve := flag.String("serve", "", "be the server of this arm (for the program itself)")
	read := flag.String("read", "", "be the file reader of this arm (for the program itself)")
	names := flag.String("scenarios", "", "what to measure: "+scenarioNames()+" (default: all but the longest)")
	arms := flag.String("arms", "", "which servers or readers to compare, the first is the measure of the others; all of a scenario's by default")
	var s settings
	flag.IntVar(&s.rounds, "rounds", 3, "rounds")
	flag.DurationVar(&s.time, "time", 2*time.Second, "length of a measurement")
	flag.BoolVar(&s.peers, "peers", false, "compare with the programs of bench/peers, too")
	flag.StringVar(&s.out, "out", "", "directory for the raw figures")
	flag.IntVar(&s.mib, "mib", 1024, "size of the file that is read, in MiB")
	full := flag.Bool("full", false, "measure every scenario")
	flag.Parse()
	if *arms != "" {
		s.arms = strings.Split(*arms, ",")
	}
	var err error
	switch {
	case *serve != "":
		err = serveArm(*serve)
	case *read != "":
		err = readArm(*read, flag.Args())
	default:
		err = inside(func() error { return run(s, *names, *full) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
