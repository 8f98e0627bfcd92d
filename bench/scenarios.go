package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// scenario is a load, and the arms that it is put on.
type scenario struct {
	name string
	what string
	load load
	arms []string // the first is the measure of the others
	more []string // with -peers, behind those
	full bool     // only with -full, or when asked for by name
}

// load is what a load generator does.
type load struct {
	Conns  int           // connections
	Active int           // how many of them send; 0 is all
	Size   int           // bytes of a request
	Pipe   int           // requests that a connection sends at once; 0 is 1
	Churn  bool          // each request on a connection of its own
	Loops  int           // of the generator; 0 is 1
	Files  int           // depth of random file reads, instead of requests
	Direct bool          // with O_DIRECT
	MiB    int           // of the file
	Time   time.Duration // of the measurement
}

var (
	servers = []string{"net", "reactor", "epoll", "io_uring", "epoll-each", "io_uring-each"}
	peers   = []string{"c-epoll", "c-io_uring", "c-io_uring+each", "gnet", "nbio", "netpoll", "gaio", "gain"}
	readers = []string{"ReadAt", "io_uring", "io_uring-registered", "epoll", "aio"}
	models  = []string{"net", "threads", "busypoll", "select", "poll", "sigio", "aio-poll", "reactor", "reactor-edge", "reactor-raw", "epoll", "io_uring"}
	idlers  = []string{"select", "poll", "reactor", "epoll", "io_uring"} // what an idle connection costs, from a lot to nothing
)

var scenarios = []scenario{
	{name: "small", what: "echo, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: servers, more: peers},
	{name: "many", what: "echo, 1000 connections, 64 B", load: load{Conns: 1000, Size: 64}, arms: servers, more: peers},
	{name: "large", what: "echo, 64 connections, 16 KiB", load: load{Conns: 64, Size: 16 << 10}, arms: servers, more: peers},
	{name: "pipelined", what: "echo, 64 connections, 64 B, 16 at once", load: load{Conns: 64, Size: 64, Pipe: 16}, arms: servers, more: peers},
	{name: "one", what: "echo, 1 connection, 64 B", load: load{Conns: 1, Size: 64}, arms: append(servers, "epoll-busypoll", "io_uring-busypoll"), more: peers},
	{name: "sparse", what: "echo, 10,000 connections, 100 of them active, 64 B", load: load{Conns: 10_000, Active: 100, Size: 64}, arms: servers, more: peers, full: true},
	{name: "churn", what: "connect, echo 1 B, close; 64 at a time", load: load{Conns: 64, Size: 1, Churn: true}, arms: servers, more: peers},
	{name: "cores", what: "echo, 256 connections, 64 B, both cores for server and load", load: load{Conns: 256, Size: 64, Loops: 2},
		arms: []string{"group-1", "group-2", "group-2-deal", "net-2"}, full: true},
	{name: "models-1", what: "echo, 1 connection, 64 B", load: load{Conns: 1, Size: 64}, arms: models, full: true},
	{name: "models-64", what: "echo, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: models},
	{name: "models-1000", what: "echo, 1000 connections, 64 B", load: load{Conns: 1000, Size: 64},
		arms: slices.DeleteFunc(slices.Clone(models), func(a string) bool { return a == "select" }), full: true},
	{name: "idle-0", what: "echo, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: idlers, full: true},
	{name: "idle-500", what: "echo, 564 connections, 64 of them active, 64 B", load: load{Conns: 564, Active: 64, Size: 64}, arms: idlers, full: true},
	{name: "idle-900", what: "echo, 964 connections, 64 of them active, 64 B", load: load{Conns: 964, Active: 64, Size: 64}, arms: idlers, full: true},
	{name: "direct-128", what: "random 4 KiB reads, O_DIRECT, depth 128", load: load{Files: 128, Direct: true}, arms: readers, more: []string{"fio", "fio-fixed"}},
	{name: "direct-32", what: "random 4 KiB reads, O_DIRECT, depth 32", load: load{Files: 32, Direct: true}, arms: readers, more: []string{"fio", "fio-fixed"}, full: true},
	{name: "cached-128", what: "random 4 KiB reads, cached, depth 128", load: load{Files: 128}, arms: readers, more: []string{"fio", "fio-fixed"}},
	{name: "cached-32", what: "random 4 KiB reads, cached, depth 32", load: load{Files: 32}, arms: readers, more: []string{"fio", "fio-fixed"}, full: true},
	{name: "cached-1", what: "random 4 KiB reads, cached, depth 1", load: load{Files: 1}, arms: readers, more: []string{"fio", "fio-fixed"}, full: true},
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// run measures the scenarios of those names, or the usual ones.
func run(s settings, names string, full bool) error {
	asked := map[string]bool{}
	for _, n := range strings.Split(names, ",") {
		asked[n] = n != ""
	}
	for i := range scenarios {
		sc := &scenarios[i]
		if asked[sc.name] || names == "" && (full || !sc.full) {
			if err := compare(s, sc); err != nil {
				return fmt.Errorf("%s: %w", sc.name, err)
			}
		}
		delete(asked, sc.name)
	}
	delete(asked, "")
	for n := range asked {
		return fmt.Errorf("no scenario %q; there are %s", n, scenarioNames())
	}
	return nil
}
