package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"
)

// bufferSize is what the servers receive into.
const bufferSize = 16 << 10

// serve starts a server, which goes on in the background.
type serve func() (net.Addr, error)

// arms are the servers of this program, by the kind of load and by name. Each is
// an echo.
var arms = map[string]map[string]serve{
	echoes:    echoArms,
	slow:      slowArms,
	datagrams: datagramArms,
	sendfile:  sendfileArms,
	hello:     helloArms,
}

var echoArms = map[string]serve{
	"net":               func() (net.Addr, error) { return serveNet(nil) },
	"net-2":             func() (net.Addr, error) { return serveNet(nil) },
	"reactor":           func() (net.Addr, error) { return serveReactor(false, nil) },
	"reactor-raw":       func() (net.Addr, error) { return serveReactor(true, nil) },
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

	"epoll-blocking":           blockingArm("epoll", true),
	"io_uring-blocking":        blockingArm("io_uring", true),
	"epoll-blocking-locked":    blockingArm("epoll", false),
	"io_uring-blocking-locked": blockingArm("io_uring", false),

	"group-2":      groupArm(2, false),
	"group-2-deal": groupArm(2, true),
}

// slowArms have a handler that waits: see handle.
var slowArms = map[string]serve{
	"net":              func() (net.Addr, error) { return serveNet(handle) },
	"reactor":          func() (net.Addr, error) { return serveReactor(false, handle) },
	"io_uring":         proactorArm("io_uring", slowEcho(false)),
	"epoll":            proactorArm("epoll", slowEcho(false)),
	"io_uring-workers": proactorArm("io_uring", slowEcho(true)),
	"epoll-workers":    proactorArm("epoll", slowEcho(true)),
}

// datagramArms answer datagrams at one socket.
var datagramArms = map[string]serve{
	"net":      serveNetDatagrams,
	"reactor":  serveReactorDatagrams,
	"io_uring": proactorDatagrams("io_uring"),
	"epoll":    proactorDatagrams("epoll"),
}

// serveArm is a server: see child. Its name is that of an arm, behind the kind of
// load if that isn't an echo: see load.server.
func serveArm(name string) error {
	kind, arm, ok := strings.Cut(name, "/")
	if !ok {
		kind, arm = echoes, name
	}
	serve := arms[kind][arm]
	if serve == nil {
		return fmt.Errorf("no arm %q", name)
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
