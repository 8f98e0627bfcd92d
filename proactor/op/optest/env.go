//go:build linux

package optest

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for an event that must come. It is long
// because emulated machines are slow; no test waits for it when it passes.
const patience = 60 * time.Second

// env is one test with its loop.
type env struct {
	*testing.T
	open Open
	loop *proactor.Loop
	ran  chan error // the result of Run
}

// newLoop makes a loop on a fresh engine and doesn't run it. It is closed when
// the test ends.
func (e *env) newLoop(c Config, opts ...proactor.Option) *proactor.Loop {
	e.Helper()
	if c.Entries == 0 {
		c.Entries = 256
	}
	if c.Workers == 0 {
		c.Workers = 4
	}
	opts = append([]proactor.Option{proactor.WithEngine(e.open(e.T, c))}, opts...)
	l, err := proactor.New(opts...)
	require.NoError(e, err)
	e.Cleanup(func() { require.NoError(e, l.Close()) })
	return l
}

// start makes the test's loop and runs it on a goroutine of its own. When the
// test ends the loop is closed, and must have nothing left.
func (e *env) start(opts ...proactor.Option) *proactor.Loop {
	e.Helper()
	return e.startWith(Config{}, opts...)
}

func (e *env) startWith(c Config, opts ...proactor.Option) *proactor.Loop {
	e.Helper()
	l := e.newLoop(c, opts...)
	e.loop, e.ran = l, make(chan error, 1)
	go func() {
		// For good: the thread ends with the loop. Before 6.0 the kernel's clearing
		// up behind a ring disturbs the next one of the same thread.
		runtime.LockOSThread()
		e.ran <- l.Run(context.Background())
	}()
	e.onLoop(func() {}) // it runs
	e.Cleanup(func() {
		require.NoError(e, l.Close())
		require.NoError(e, await(e, e.ran))
		s := l.Stats()
		require.Zero(e, s.InFlight, "operations in flight after Close")
		require.Zero(e, s.Handles, "handles after Close")
	})
	return l
}

// await receives from c, and fails the test if nothing comes.
func await[T any](e *env, c <-chan T) (v T) {
	e.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		if e.loop != nil {
			e.Logf("%+v", e.loop.Stats())
		}
		e.Fatal("the event didn't come")
	}
	return v
}

// result is what a callback was given.
type result struct {
	n   int
	err error
}

// into returns a callback that puts an operation's result into a channel with
// room for n of them.
func into(n int) (chan result, func(*op.Op)) {
	c := make(chan result, n)
	return c, func(o *op.Op) {
		n, err := o.Result()
		c <- result{n, err}
	}
}

// do submits a prepared operation and waits for its result.
func (e *env) do(prepare func(*op.Op) *op.Op) (int, error) {
	e.Helper()
	c, done := into(1)
	o := &op.Op{Done: done}
	_, err := e.loop.Submit(prepare(o))
	require.NoError(e, err)
	r := await(e, c)
	return r.n, r.err
}

// onLoop runs f on the loop's goroutine and waits for it.
func (e *env) onLoop(f func()) {
	e.Helper()
	done := make(chan struct{})
	require.NoError(e, e.loop.Post(func() { f(); close(done) }))
	await(e, done)
}

// settle waits until the loop has taken in everything submitted so far and
// begun it: what is pending after that waits for its descriptor.
func (e *env) settle() {
	e.Helper()
	for range 3 {
		e.onLoop(func() {})
	}
}

// stats returns the statistics as they are now, all that was released before taken
// back: those that other goroutines are told can be a millisecond old.
func (e *env) stats() (s proactor.Stats) {
	e.Helper()
	e.settle()
	e.onLoop(func() { s = e.loop.Stats() })
	return s
}

// pair returns a connected pair of unix stream sockets: a handle of the loop and
// the peer, a plain connection of package net.
func (e *env) pair() (*op.Handle, net.Conn) {
	e.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	h, err := e.loop.Register(fds[0])
	require.NoError(e, err)
	return h, e.netConn(fds[1])
}

// tcpPair returns a TCP connection over loopback: the loop's end and the peer's.
func (e *env) tcpPair() (*op.Handle, *net.TCPConn) {
	e.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	defer ln.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(e, err)
	require.NoError(e, unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: ln.Addr().(*net.TCPAddr).Port}))
	c, err := ln.Accept()
	require.NoError(e, err)
	e.Cleanup(func() { c.Close() })
	require.NoError(e, c.SetDeadline(time.Now().Add(patience)))
	h, err := e.loop.Register(fd)
	require.NoError(e, err)
	return h, c.(*net.TCPConn)
}
