// Command versus compares the example servers with the programs that people know, which
// must be installed: nginx, redis-server, haproxy, and for the load wrk and
// redis-benchmark. A server that is missing is left out.
//
//	go run ./bench/versus [-rounds 5] [-time 3s] [-alive] [-servers nginx,io_uring] [-out DIR] [NAME...]
//
// A NAME is a contest, or if there is none of that name what several begin with. Each
// measurement starts a server anew on core 0, warms it up, loads it from core 1, and counts
// the CPU time that its processes have used, and how busy the load's core was: near 100 %
// the requests a second are the load's, not the server's. The servers of a contest take
// turns, and figures are medians of the rounds, "in each" that of the rounds' own ratios;
// with -out, DIR gets all of them as JSON. With -alive all servers of a contest are started
// first, and short measurements find all of them in the same phases of a noisy machine. As
// root it measures in a network namespace of its own, with congestion control reno. It
// needs Linux and a checkout of the repository.
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
	rounds  int
	time    time.Duration
	alive   bool     // all servers of a contest, while it is on
	servers []string // nil: all
	names   []string // empty: all
	out     string
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "rounds")
	flag.DurationVar(&s.time, "time", 3*time.Second, "length of a measurement")
	flag.BoolVar(&s.alive, "alive", false, "start all servers first, and load them by turns")
	servers := flag.String("servers", "", "which servers to compare, with the first of the contest's (default: all)")
	flag.StringVar(&s.out, "out", "", "directory for the raw figures")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: versus [flags] [NAME...]\nNAME: %s, or what some of them begin with (default: all)\n", contestNames())
		flag.PrintDefaults()
	}
	flag.Parse()
	s.names = flag.Args()
	if *servers != "" {
		s.servers = strings.Split(*servers, ",")
	}
	if err := versus(s); err != nil {
		fmt.Fprintln(os.Stderr, "versus:", err)
		os.Exit(1)
	}
}
