// Command bench measures servers and file readers of several I/O models on this
// machine, one after the other in rounds, each in a child process of its own: a
// proactor (this library, on io_uring and on epoll), reactors on epoll, a goroutine
// for each connection (package net), and the other textbook models: select, poll,
// busy polling, signals, threads, Linux AIO. With -peers there are servers in C
// and of other Go libraries, too, from the module in bench/peers.
//
//	go run ./bench [-full] [-scenarios small,many] [-arms net,io_uring] [-peers] [-rounds 3] [-time 2s] [-out DIR]
//
// Without flags it takes less than two minutes: some scenarios of each kind, each
// measurement short. With -full or names of scenarios each measurement is longer.
//
// With two cores or more the server has core 0 and GOMAXPROCS=1, the load core 1.
// As root it measures in a network namespace of its own, with congestion control
// reno. The load checks every byte. It needs Linux; io_uring where the arm does.
//
// The figure to look at is the server's CPU per request: requests per second say
// something only where the load isn't the limit. Figures are medians of the rounds;
// with -out, DIR gets all of them as JSON. What textbooks say of the models is
// compared with the figures at the end, and in DIR/claims.txt.
//
// Figures never come with errors: a wrong, missing or additional byte, and anything
// else that goes wrong, ends the run. An arm is left out, with a line that says so,
// where the system lacks what it is made of.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
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

const (
	shortTime = 400 * time.Millisecond
	longTime  = 2 * time.Second
)

func main() {
	serve := flag.String("serve", "", "be the server of this arm (for the program itself)")
	read := flag.String("read", "", "be the file reader of this arm (for the program itself)")
	names := flag.String("scenarios", "", "what to measure: "+scenarioNames()+" (default: some of each kind)")
	arms := flag.String("arms", "", "which servers or readers to compare, with the reactor or else the first; all of a scenario's by default")
	var s settings
	flag.IntVar(&s.rounds, "rounds", 3, "rounds")
	flag.DurationVar(&s.time, "time", 0, fmt.Sprintf("length of a measurement (default: %v, with -full or -scenarios %v)", shortTime, longTime))
	flag.BoolVar(&s.peers, "peers", false, "compare with the programs of bench/peers, too")
	flag.StringVar(&s.out, "out", "", "directory for the raw figures")
	flag.IntVar(&s.mib, "mib", 1024, "size of the file that is read, in MiB")
	full := flag.Bool("full", false, "measure every scenario: about 20 minutes, with -peers twice that")
	flag.Parse()
	if s.time == 0 {
		if s.time = shortTime; *full || *names != "" {
			s.time = longTime
		}
	}
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
		build := buildPeers
		if !s.peers {
			build = nil
		}
		err = lab.Inside(build, func() error { return run(s, *names, *full) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
