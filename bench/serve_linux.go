package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
)

// bufferSize is what the servers receive into.
const bufferSize = 16 << 10

// arms are the servers of this program, each an echo.
var arms = map[string]func() (net.Addr, error){
	"net":               serveNet,
	"net-2":             serveNet,
	"reactor":           func() (net.Addr, error) { return serveReactor(false) },
	"reactor-raw":       func() (net.Addr, error) { return serveReactor(true) },
	"reactor-edge":      serveReactorEdge,
	"poll":              servePoll,
	"select":            serveSelect,
	"busypoll":          serveBusyPoll,
	"sigio":             serveSIGIO,
	"threads":           serveThreads,
	"aio-poll":          serveAIOPoll,
	"io_uring":          proactorArm("io_uring", rawEcho),
	"epoll":             proactorArm("epoll", rawEcho),
	"io_uring-each":     proactorArm("io_uring", eachEcho),
	"epoll-each":        proactorArm("epoll", eachEcho),
	"io_uring-busypoll": proactorArm("io_uring", rawEcho, busyPoll),
	"epoll-busypoll":    proactorArm("epoll", rawEcho, busyPoll),
	"group-1":           groupArm(1, false),
	"group-2":           groupArm(2, false),
	"group-2-deal":      groupArm(2, true),
}

// serveArm is the server of one arm: see child.
func serveArm(arm string) error {
	serve := arms[arm]
	if serve == nil {
		return fmt.Errorf("no arm %q", arm)
	}
	addr, err := serve()
	if err != nil {
		return err
	}
	fmt.Println(addr)
	marks := bufio.NewScanner(os.Stdin)
	marks.Scan()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if marks.Scan() {
		runtime.ReadMemStats(&after)
		stop, late := make(chan struct{}), make(chan time.Duration)
		go func() { late <- sleeper(stop) }()
		marks.Scan()
		close(stop)
		fmt.Println("late", <-late)
		fmt.Println("mallocs", after.Mallocs-before.Mallocs)
	}
	for marks.Scan() {
	}
	return nil
}

// sleeper is a neighbour of the server on the same P: it sleeps 1 ms again and
// again, and returns how late it woke on average.
func sleeper(stop chan struct{}) time.Duration {
	var late time.Duration
	n := time.Duration(0)
	for {
		select {
		case <-stop:
			return late / max(n, 1)
		default:
		}
		begin := time.Now()
		time.Sleep(time.Millisecond)
		late += time.Since(begin) - time.Millisecond
		n++
	}
}
