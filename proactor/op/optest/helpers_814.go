//go:build linux

package optest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// census watches many operations: how often the callback of each ran, and what
// with. Its fields are plain, so that the race detector sees callbacks that
// don't run one at a time, or not before whoever waited for them goes on.
type census struct {
	runs    []int
	results []result
	left    int
	all     chan struct{} // closed when each callback has run
}

func newCensus(n int) *census {
	return &census{runs: make([]int, n), results: make([]result, n), left: n, all: make(chan struct{})}
}

// op returns the operation with number i.
func (c *census) op(i int) *op.Op {
	return &op.Op{Done: func(o *op.Op) {
		n, err := o.Result()
		c.note(i, n, err)
	}}
}

func (c *census) note(i, n int, err error) {
	c.runs[i]++
	c.results[i] = result{n, err}
	if c.left--; c.left == 0 {
		close(c.all)
	}
}

// closing makes the callback close the descriptor that it is given: what an
// accept or an openat delivered is the callback's own.
func closing(o *op.Op) *op.Op {
	done := o.Done
	o.Done = func(o *op.Op) {
		if fd, err := o.Result(); err == nil {
			unix.Close(fd)
		}
		done(o)
	}
	return o
}

// once checks that each callback ran exactly once.
func (c *census) once(e *env) {
	e.Helper()
	for i, n := range c.runs {
		if n != 1 {
			e.Fatalf("the callback of operation %d of %d ran %d times", i, len(c.runs), n)
		}
	}
}

// errs checks that each result has one of the errors; nil is one, too.
func (c *census) errs(e *env, allowed ...error) {
	e.Helper()
	for i, r := range c.results {
		if !oneOf(r.err, allowed) {
			e.Fatalf("operation %d ended with %d, %v", i, r.n, r.err)
		}
	}
}

func oneOf(err error, allowed []error) bool {
	for _, a := range allowed {
		if errors.Is(err, a) {
			return true
		}
	}
	return false
}

// tap is the engine under test with a test in its way.
type tap struct {
	op.Engine
	turn    func()            // called before each Poll and Wait
	deaf    func(*op.Op) bool // whose cancels get lost: it can't be interrupted
	hold    func(*op.Op) bool // whose completion is kept back until release
	onClose func()            // called when the engine is released

	open    atomic.Bool        // release was called
	caught  chan op.Completion // what is kept back, to be awaited
	held    []op.Completion
	started map[*op.Op]bool // without those that are kept back
	closes  atomic.Int32
}

// tapped puts a tap on the engine of the loop that is made next.
func (e *env) tapped() *tap {
	t := &tap{caught: make(chan op.Completion, 16), started: map[*op.Op]bool{}}
	open := e.open
	e.open = func(tb testing.TB, c Config) op.Engine {
		t.Engine = open(tb, c)
		return t
	}
	return t
}

func (t *tap) Start(o *op.Op) {
	t.started[o] = true
	t.Engine.Start(o)
}

func (t *tap) Cancel(o *op.Op) {
	if t.started[o] && (t.deaf == nil || !t.deaf(o)) {
		t.Engine.Cancel(o)
	}
}

func (t *tap) Poll(done []op.Completion) ([]op.Completion, error) {
	if t.turn != nil {
		t.turn()
	}
	had := len(done)
	done, err := t.Engine.Poll(done)
	return t.filter(done, had), err
}

func (t *tap) Wait(d, hold time.Duration, done []op.Completion) ([]op.Completion, error) {
	if t.turn != nil {
		t.turn()
	}
	had := len(done)
	done, err := t.Engine.Wait(d, hold, done)
	return t.filter(done, had), err
}

// filter keeps back what is to be held, and adds what is not any more.
func (t *tap) filter(done []op.Completion, had int) []op.Completion {
	kept := done[:had]
	for _, x := range done[had:] {
		if !x.More {
			delete(t.started, x.Op)
		}
		if t.hold != nil && !t.open.Load() && t.hold(x.Op) {
			t.held = append(t.held, x)
			t.caught <- x
			continue
		}
		kept = append(kept, x)
	}
	if t.open.Load() {
		kept, t.held = append(kept, t.held...), nil
	}
	return kept
}

// release lets go of what is kept back.
func (t *tap) release() {
	t.open.Store(true)
	t.Wake()
}

func (t *tap) InFlight() int { return t.Engine.InFlight() + len(t.held) }

func (t *tap) Close() error {
	t.closes.Add(1)
	if t.onClose != nil {
		t.onClose()
	}
	return t.Engine.Close()
}

// isCode returns the predicate that an operation has the code.
func isCode(c op.Code) func(*op.Op) bool { return func(o *op.Op) bool { return o.Code() == c } }

// submit submits a prepared operation.
func (e *env) submit(o *op.Op) op.Ticket {
	e.Helper()
	t, err := e.loop.Submit(o)
	require.NoError(e, err)
	return t
}

// register makes fd a handle of the test's loop.
func (e *env) register(fd int, err error) *op.Handle {
	e.Helper()
	require.NoError(e, err)
	h, err := e.loop.Register(fd)
	require.NoError(e, err)
	return h
}

// fds returns a connected pair of non-blocking sockets.
func (e *env) fds(kind int) (a, b int) {
	e.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	return p[0], p[1]
}

// rawPair is pair whose peer is a bare descriptor, closed with the test.
func (e *env) rawPair(kind int) (*op.Handle, int) {
	e.Helper()
	a, b := e.fds(kind)
	e.Cleanup(func() { unix.Close(b) })
	return e.register(a, nil), b
}

// listening returns a listening TCP socket of the loop on loopback.
func (e *env) listening(backlog int) (*op.Handle, *op.Sockaddr) {
	e.Helper()
	fd, sa := e.listenFD(backlog)
	return e.register(fd, nil), sa
}

func (e *env) listenFD(backlog int) (int, *op.Sockaddr) {
	e.Helper()
	fd := e.tcpSocket()
	require.NoError(e, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(e, unix.Listen(fd, backlog))
	name, err := unix.Getsockname(fd)
	require.NoError(e, err)
	port := uint16(name.(*unix.SockaddrInet4).Port)
	sa, err := op.IPSockaddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	require.NoError(e, err)
	return fd, sa
}

func (e *env) tcpSocket() int {
	e.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	return fd
}

// dial connects a connection of package net, closed with the test.
func (e *env) dial(sa *op.Sockaddr) *net.TCPConn {
	e.Helper()
	c, err := net.DialTimeout("tcp", sa.AddrPort().String(), patience)
	require.NoError(e, err)
	e.Cleanup(func() { c.Close() })
	require.NoError(e, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.TCPConn)
}

// deafServer returns the address of a listener whose backlog is full: what
// connects to it waits, because Linux drops the SYN.
func (e *env) deafServer() *op.Sockaddr {
	e.Helper()
	fd, sa := e.listenFD(0)
	e.Cleanup(func() { unix.Close(fd) })
	e.dial(sa)     // a backlog of 0 has room for one
	e.readable(fd) // the backlog is full
	return sa
}

// file returns a new file with the contents, and its path.
func (e *env) file(contents []byte) (*op.Handle, string) {
	e.Helper()
	path := filepath.Join(e.TempDir(), "file")
	require.NoError(e, os.WriteFile(path, contents, 0o600))
	return e.register(unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)), path
}

// link is what /proc says that a descriptor is: it names a socket or a pipe for
// as long as that lives.
func link(fd int) string { return Descriptors()[strconv.Itoa(fd)] }

// closed checks that no descriptor is any more what these were.
func (e *env) closed(links ...string) {
	e.Helper()
	for fd, to := range Descriptors() {
		for _, l := range links {
			require.NotEqual(e, l, to, "descriptor %s is still open", fd)
		}
	}
}

// sameDescriptors checks that the descriptors are those of before. It gives
// those that net and the runtime are about to close time to go.
func (e *env) sameDescriptors(before map[string]string) {
	e.Helper()
	require.Eventually(e, func() bool { return newDescriptors(before) == "" }, patience, time.Millisecond,
		"descriptors are left over")
}

// drive turns the loop with RunOnce, on this goroutine, until it is so.
func (e *env) drive(l *proactor.Loop, so func() bool) {
	e.Helper()
	for end := time.Now().Add(patience); !so(); {
		if time.Now().After(end) {
			e.Fatal("the event didn't come")
		}
		_, err := l.RunOnce(time.Second)
		require.NoError(e, err)
	}
}

// scarce lowers the limit of descriptors so that there is none left, until the
// function it returns is called.
func (e *env) scarce() (restore func()) {
	e.Helper()
	var old unix.Rlimit
	require.NoError(e, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	// The lowest free number as the limit: all below it are in use.
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	unix.Close(fd)
	restore = func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) }
	e.Cleanup(restore)
	require.NoError(e, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd), Max: old.Max}))
	_, err = unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0)
	require.ErrorIs(e, err, syscall.EMFILE)
	return restore
}

// again makes and runs a loop, for tests that need one after the other: each
// closes its loop itself. The channel gets the result of Run.
func (e *env) again(opts ...proactor.Option) (*proactor.Loop, chan error) {
	e.Helper()
	l, ran := e.newLoop(Config{}, opts...), make(chan error, 1)
	e.loop = l
	go func() { ran <- l.Run(context.Background()) }()
	e.settle()
	return l, ran
}
