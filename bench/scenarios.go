package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// scenario is a load, and the arms that it is put on.
type scenario struct {
	name string
	what string
	load load
	arms []string // one of them is the measure of the others: see result.base
	more []string // with -peers, behind those
	full bool     // only with -full, or when asked for by name
}

// Kinds of load, each with servers of its own: arms in serve_linux.go.
const (
	echoes    = ""          // on connections
	slow      = "slow"      // the same, and the server waits over some of the requests
	datagrams = "datagrams" // each is answered by one that is the same
	sendfile  = "sendfile"  // a byte is answered by a file of the size
	hello     = "hello"     // GET requests are answered by net/http
)

// What hello's clients ask, and are answered.
const (
	helloRequest = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
	helloAnswer  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello"
)

const (
	slowMark  = 1   // the first byte of a slow request; of the others it is 0
	slowEvery = 100 // requests, one is slow
)

// load is what a load generator does.
type load struct {
	Kind   string        `json:",omitempty"`
	Conns  int           // connections, or sockets of datagrams
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
	servers  = []string{"net", "reactor", "epoll", "io_uring", "epoll-each", "io_uring-each"}
	peers    = []string{"c-epoll", "c-io_uring", "c-io_uring+each", "gnet", "nbio", "netpoll", "gaio", "gain"}
	churners = append(slices.Clone(peers), "gain-31") // all that bench/peers serves: gain without its wait, too
	readers  = []string{"ReadAt", "io_uring", "io_uring-registered", "epoll", "aio"}
	models   = []string{"net", "threads", "busypoll", "select", "poll", "sigio", "aio-poll", "reactor", "reactor-edge", "reactor-raw", "epoll", "io_uring"}
	idlers   = []string{"select", "poll", "reactor", "epoll", "io_uring"} // what an idle connection costs, from a lot to nothing
	waiters  = []string{"net", "reactor", "epoll", "io_uring", "epoll-workers", "io_uring-workers"}
	blockers = []string{"net", "epoll-blocking", "io_uring-blocking", "epoll-blocking-locked", "io_uring-blocking-locked"}
	files    = []string{"fio", "fio-fixed", "posix-aio"} // readers that are not of this program
)

var scenarios = []scenario{
	{name: "small", what: "echo, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: servers, more: peers},
	{name: "many", what: "echo, 1000 connections, 64 B", load: load{Conns: 1000, Size: 64}, arms: servers, more: peers, full: true},
	{name: "medium", what: "echo, 64 connections, 1 KiB", load: load{Conns: 64, Size: 1 << 10}, arms: servers, more: peers, full: true},
	{name: "large", what: "echo, 64 connections, 16 KiB", load: load{Conns: 64, Size: 16 << 10}, arms: servers, more: peers, full: true},
	{name: "pipelined", what: "echo, 64 connections, 64 B, 16 at once", load: load{Conns: 64, Size: 64, Pipe: 16}, arms: servers, more: peers, full: true},
	{name: "one", what: "echo, 1 connection, 64 B", load: load{Conns: 1, Size: 64}, arms: append(servers, "epoll-busypoll", "io_uring-busypoll"), more: peers, full: true},
	{name: "sparse", what: "echo, 10,000 connections, 100 of them active, 64 B", load: load{Conns: 10_000, Active: 100, Size: 64}, arms: servers, more: peers, full: true},
	{name: "churn", what: "connect, echo 1 B, close; 64 at a time", load: load{Conns: 64, Size: 1, Churn: true}, arms: servers, more: churners},
	{name: "slow", what: "echo, 64 connections, 64 B, a handler that waits 1 ms in 1 of 100; times of the others", load: load{Kind: slow, Conns: 64, Size: 64}, arms: waiters},
	{name: "datagrams", what: "echo of datagrams, 64 sockets with 8 under way each, 64 B", load: load{Kind: datagrams, Conns: 64, Size: 64, Pipe: 8}, arms: []string{"net", "reactor", "epoll", "io_uring"}},
	{name: "datagrams-1", what: "echo of datagrams, 64 sockets with 1 under way each, 64 B", load: load{Kind: datagrams, Conns: 64, Size: 64, Pipe: 1}, arms: []string{"net", "reactor", "epoll", "io_uring"}, full: true},
	{name: "sendfile", what: "a cached file of 1 MiB to each of 16 connections", load: load{Kind: sendfile, Conns: 16, Size: 1 << 20}, arms: []string{"net", "epoll", "io_uring"}},
	{name: "blocking-1", what: "echo by Read and Write, 1 connection, 64 B", load: load{Conns: 1, Size: 64}, arms: blockers, full: true},
	{name: "blocking-16", what: "echo by Read and Write, 16 connections, 64 B", load: load{Conns: 16, Size: 64}, arms: blockers, full: true},
	{name: "blocking-64", what: "echo by Read and Write, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: blockers, full: true},
	{name: "hello", what: "net/http, 64 connections, keep-alive, hello", load: load{Kind: hello, Conns: 64, Size: len(helloRequest)}, arms: []string{"net", "epoll", "io_uring"}, full: true},
	{name: "cores", what: "echo, 256 connections, 64 B, both cores for server and load", load: load{Conns: 256, Size: 64, Loops: 2},
		arms: []string{"group-1", "group-2", "group-2-deal", "net-2"}, full: true},
	{name: "models-1", what: "echo, 1 connection, 64 B", load: load{Conns: 1, Size: 64}, arms: models, full: true},
	{name: "models-64", what: "echo, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: models},
	{name: "models-1000", what: "echo, 1000 connections, 64 B", load: load{Conns: 1000, Size: 64},
		arms: slices.DeleteFunc(slices.Clone(models), func(a string) bool { return a == "select" }), full: true},
	{name: "idle-0", what: "echo, 64 connections, 64 B", load: load{Conns: 64, Size: 64}, arms: idlers, full: true},
	{name: "idle-500", what: "echo, 564 connections, 64 of them active, 64 B", load: load{Conns: 564, Active: 64, Size: 64}, arms: idlers, full: true},
	{name: "idle-900", what: "echo, 964 connections, 64 of them active, 64 B", load: load{Conns: 964, Active: 64, Size: 64}, arms: idlers, full: true},
	{name: "direct-128", what: "random 4 KiB reads, O_DIRECT, depth 128", load: load{Files: 128, Direct: true}, arms: readers, more: files},
	{name: "direct-32", what: "random 4 KiB reads, O_DIRECT, depth 32", load: load{Files: 32, Direct: true}, arms: readers, more: files, full: true},
	{name: "direct-1", what: "random 4 KiB reads, O_DIRECT, depth 1", load: load{Files: 1, Direct: true}, arms: readers, more: files, full: true},
	{name: "cached-128", what: "random 4 KiB reads, cached, depth 128", load: load{Files: 128}, arms: readers, more: files},
	{name: "cached-32", what: "random 4 KiB reads, cached, depth 32", load: load{Files: 32}, arms: readers, more: files, full: true},
	{name: "cached-1", what: "random 4 KiB reads, cached, depth 1", load: load{Files: 1}, arms: readers, more: files, full: true},
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// server is what the server of an arm is called: see serveArm.
func (l load) server(arm string) string {
	if l.Kind == echoes {
		return arm
	}
	return l.Kind + "/" + arm
}

// run measures the scenarios of those names, or the usual ones.
func run(s settings, names string, full bool) error {
	if s.out != "" {
		if err := os.MkdirAll(s.out, 0o755); err != nil {
			return err
		}
	}
	results := results{}
	asked := map[string]bool{}
	for _, n := range strings.Split(names, ",") {
		asked[n] = n != ""
	}
	for i := range scenarios {
		sc := &scenarios[i]
		if asked[sc.name] || names == "" && (full || !sc.full) {
			r, err := compare(s, sc)
			if err != nil {
				return fmt.Errorf("%s: %w", sc.name, err)
			}
			results[sc.name] = r
		}
		delete(asked, sc.name)
	}
	delete(asked, "")
	for n := range asked {
		return fmt.Errorf("no scenario %q; there are %s", n, scenarioNames())
	}
	return results.publish(s.out)
}
