//go:build linux

package optest

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule09AcceptEach = []test{
	{"Rule09_AcceptEachGoesOnWhenADescriptorIsFreed", acceptEachRecovers},
	{"Rule09_AcceptEachGoesOnWhenAHandleIsClosed", acceptEachNoticesClose},
	{"Rule09_APausedAcceptEachEndsWithItsListener", pausedAcceptEachEnds},
}

// acceptEvents is an AcceptEach that reports what it is called with.
type acceptEvents struct {
	conns chan *proactor.Conn
	errs  chan acceptError
}

// acceptError is an error and when the callback got it.
type acceptError struct {
	err error
	at  time.Time
}

func (e *env) acceptEach(ln *proactor.Listener) acceptEvents {
	a := acceptEvents{make(chan *proactor.Conn, 64), make(chan acceptError, 4096)}
	require.NoError(e, ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil {
			a.errs <- acceptError{err, time.Now()}
			return
		}
		a.conns <- c
	}))
	return a
}

// starve takes all descriptors away and lets a connection arrive. Closing the
// descriptor that it returns makes room for one.
func (e *env) starve(ln *proactor.Listener) (spare int) {
	e.Helper()
	client := e.tcpSocket()
	e.Cleanup(func() { unix.Close(client) })
	spare, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	e.scarce()
	port := ln.Addr().(*net.TCPAddr).Port
	err = unix.Connect(client, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
	if err != nil {
		require.ErrorIs(e, err, unix.EINPROGRESS)
	}
	return spare
}

// starving is a new listener whose AcceptEach is without descriptors.
func (e *env) starving(l *proactor.Loop) (acceptEvents, int) {
	e.Helper()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	// In this order: a ring takes the limit from when the accept was submitted.
	spare := e.starve(ln)
	return e.acceptEach(ln), spare
}

func acceptEachRecovers(e *env) {
	l := e.start()
	a, spare := e.starving(l)
	var all []acceptError
	turns := l.Stats().Turns
	for range 4 {
		x := await(e, a.errs)
		require.ErrorIs(e, x.err, syscall.EMFILE)
		all = append(all, x)
	}
	// Pauses of 5, 10 and 20 ms: it must neither report nor turn without end.
	require.GreaterOrEqual(e, all[3].at.Sub(all[0].at), 35*time.Millisecond, "it doesn't pause")
	require.Less(e, l.Stats().Turns-turns, uint64(200), "the loop spins")
	unix.Close(spare)
	c := await(e, a.conns)
	require.NotNil(e, c.RemoteAddr())
}

// The pause has grown to where waiting for its end would be seen.
func acceptEachNoticesClose(e *env) {
	l := e.start()
	a, b := e.fds(unix.SOCK_STREAM)
	e.Cleanup(func() { unix.Close(b) })
	h := e.register(a, nil)
	events, spare := e.starving(l)
	defer unix.Close(spare)
	for range 8 { // the next pause is 640 ms
		require.ErrorIs(e, await(e, events.errs).err, syscall.EMFILE)
	}
	begin := time.Now()
	e.submit((&op.Op{Done: func(*op.Op) {}}).Abort(h))
	await(e, events.conns)
	require.Less(e, time.Since(begin), 600*time.Millisecond, "it waited for the end of its pause")
}

// Rule 7: the close's own callback is the last, also while AcceptEach pauses.
func pausedAcceptEachEnds(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	var log []error
	paused, ended := make(chan struct{}, 64), make(chan struct{}, 2)
	defer unix.Close(e.starve(ln))
	require.NoError(e, ln.AcceptEach(func(c *proactor.Conn, err error) {
		log = append(log, err)
		if errors.Is(err, net.ErrClosed) {
			ended <- struct{}{}
		} else {
			paused <- struct{}{}
		}
	}))
	await(e, paused)
	require.NoError(e, ln.Close(func(err error) {
		log = append(log, err)
		ended <- struct{}{}
	}))
	await(e, ended)
	await(e, ended)
	e.onLoop(func() {})
	n := len(log)
	require.ErrorIs(e, log[n-2], net.ErrClosed, "AcceptEach's end is not before the close's: %v", log)
	require.NoError(e, log[n-1])
}
