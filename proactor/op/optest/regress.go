//go:build linux

package optest

import (
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// regressTests are cases that once went wrong, and that no rule's own tests meet.
var regressTests = []test{
	{"Rule01_AnOpThatConnectedCompletesOnceAsAShutdown", connectThenShutdown},
	{"Rule03_AnEmptySendDoesNotOvertake", emptySendInOrder},
	{"Rule04_ABufferIsHandedToOneSendOnly", bufferHandedOnce},
	{"Rule05_AReceiveGoesOnBehindAPassedDescriptor", recvBehindDescriptor},
	{"Rule05_AReceiveGoesOnBehindUrgentData", recvBehindUrgent},
	{"Rule06_APauseHoldsInLine", pauseInLine},
	{"Rule06_APollOfADescriptorWithoutATypeIsCancelled", pollAnonymous},
	{"Rule08_WhatWasSubmittedEndsIfTheEngineDoesNotComeUp", engineStaysDown},
	{"Rule10_EmptyPipesCostNoBuffers", emptyPipes},
	{"Rule13_APollThatCannotWaitIsRefused", pollRefused},
}

// connectThenShutdown uses one Op for a connect and then for a shutdown, with an
// edge of the descriptor under way: nothing of the connect must be left in it.
func connectThenShutdown(e *env) {
	e.start()
	for range 20 {
		ln, sa := e.listenFD(8)
		fd := e.tcpSocket()
		h := e.register(fd, nil)
		ends := make(chan error, 3)
		var rd, o op.Op
		buf := make([]byte, 8)
		rd.Done = func(*op.Op) {}
		o.Done = func(x *op.Op) {
			_, err := x.Result()
			if x.Code() == op.Connect && err == nil {
				e.readable(ln)
				peer, _, err := unix.Accept(ln)
				require.NoError(e, err)
				defer unix.Close(peer)
				_, err = e.loop.Submit(rd.Recv(h, buf))
				require.NoError(e, err)
				_, err = e.loop.Submit(o.Shutdown(h, unix.SHUT_WR))
				require.NoError(e, err)
				_, err = unix.Write(peer, []byte("edge"))
				require.NoError(e, err)
			}
			ends <- err
		}
		_, err := e.loop.Submit(o.Connect(h, sa))
		require.NoError(e, err)
		require.NoError(e, await(e, ends))
		require.NoError(e, await(e, ends))
		e.settle()
		require.Empty(e, ends, "once")
		require.NoError(e, unix.Close(ln))
	}
}

func emptySendInOrder(e *env) {
	e.start()
	h, peer, _, _ := e.blockedPair()
	big, done := into(1)
	empty, doneEmpty := into(1)
	for _, o := range []*op.Op{
		(&op.Op{Done: func(*op.Op) {}}).Send(h, []byte("x")),
		(&op.Op{Done: done}).Send(h, make([]byte, 4<<20)),
		(&op.Op{Done: doneEmpty}).Send(h, nil),
	} {
		_, err := e.loop.Submit(o)
		require.NoError(e, err)
	}
	_, err := io.ReadFull(peer, make([]byte, 2<<20)) // they leave together, and not whole
	require.NoError(e, err)
	e.settle()
	require.Empty(e, empty, "before the one ahead of it")
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	require.NoError(e, await(e, big).err)
	require.NoError(e, await(e, empty).err)
}

func bufferHandedOnce(e *env) {
	e.start()
	h, peer := e.pair()
	c, _, _ := e.recvEach(h)
	write(e, peer, []byte("once"))
	p := await(e, c)
	x, _, _, _ := e.blockedPair() // the first send stays under way
	_, err := e.loop.Submit((&op.Op{Done: func(*op.Op) {}}).SendBuffer(x, p.buf))
	require.NoError(e, err)
	second := &op.Op{Done: func(*op.Op) {}}
	require.Panics(e, func() { _, _ = e.loop.Submit(second.SendBuffer(x, p.buf)) })
	require.Panics(e, p.buf.Release)
	require.False(e, second.InFlight())
}

// recvAll receives n bytes, one receive after the other into a larger buffer.
func (e *env) recvAll(h op.Target, n int) (got []byte) {
	e.Helper()
	buf := make([]byte, 100)
	for len(got) < n {
		k, err := e.do(func(o *op.Op) *op.Op { return o.Recv(h, buf) })
		require.NoError(e, err)
		got = append(got, buf[:k]...)
	}
	return got
}

func recvBehindDescriptor(e *env) {
	e.start()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	defer unix.Close(fds[1])
	h, err := e.loop.Register(fds[0])
	require.NoError(e, err)
	e.onLoop(func() { // both are there before the loop looks
		require.NoError(e, unix.Sendmsg(fds[1], []byte("abc"), unix.UnixRights(fds[1]), nil, 0))
		_, err := unix.Write(fds[1], []byte("def"))
		require.NoError(e, err)
	})
	require.Equal(e, "abcdef", string(e.recvAll(h, 6)))
}

func recvBehindUrgent(e *env) {
	e.start()
	h, peer := e.tcpPair()
	raw, err := peer.SyscallConn()
	require.NoError(e, err)
	got := make(chan string, 1)
	go func() { got <- string(e.recvAll(h, 6)) }()
	e.settle()
	e.onLoop(func() {
		require.NoError(e, raw.Control(func(fd uintptr) {
			require.NoError(e, unix.Sendto(int(fd), []byte("abcX"), unix.MSG_OOB, nil))
			_, err := unix.Write(int(fd), []byte("def"))
			require.NoError(e, err)
		}))
	})
	require.Equal(e, "abcdef", await(e, got))
}

func pauseInLine(e *env) {
	e.start()
	h, peer := e.pair()
	first, t, _ := e.recvEach(h)
	second, t2, _ := e.recvEach(h)
	e.settle()
	e.loop.Pause(t2)
	e.settle()
	e.loop.Cancel(t)
	require.ErrorIs(e, await(e, first).err, op.ErrCanceled)
	write(e, peer, []byte("held back"))
	e.settle()
	require.Empty(e, second)
	e.loop.Resume(t2)
	require.Equal(e, "held back", string(e.drain(second, 9)))
}

func emptyPipes(e *env) {
	e.start(proactor.WithBuffers(4, 256))
	for range 12 { // more than there are Buffers
		r, w, err := os.Pipe()
		require.NoError(e, err)
		fd, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(e, err)
		r.Close()
		h, err := e.loop.Register(fd)
		require.NoError(e, err)
		c, _, _ := e.recvEach(h)
		e.settle()
		w.Close()
		require.ErrorIs(e, await(e, c).err, io.EOF)
	}
	h, peer := e.pair()
	c, _, _ := e.recvEach(h)
	write(e, peer, []byte("still served"))
	require.Equal(e, "still served", string(e.drain(c, 12)))
}

// pollAnonymous cancels what waits for an eventfd, which is no file and no device.
func pollAnonymous(e *env) {
	l := e.start()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	h := e.register(fd, err)
	for _, prepare := range []func(*op.Op) *op.Op{
		func(o *op.Op) *op.Op { return o.Poll(h, unix.POLLIN) },
		func(o *op.Op) *op.Op { return o.Recv(h, make([]byte, 8)) },
	} {
		c, done := into(1)
		o := &op.Op{Done: done}
		ticket := e.submit(prepare(o))
		e.settle()
		require.True(e, l.Cancel(ticket))
		require.ErrorIs(e, await(e, c).err, op.ErrCanceled)
		e.submit(prepare(o))
		e.settle()
		_, err = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		require.NoError(e, err)
		require.NoError(e, await(e, c).err)
		_, _ = unix.Read(fd, make([]byte, 8)) // a poll leaves it as it is
	}
}

func pollRefused(e *env) {
	e.start()
	fd, err := unix.Open(os.Args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(e, err)
	h, err := e.loop.Register(fd)
	require.NoError(e, err)
	_, err = e.do(func(o *op.Op) *op.Op { return o.Poll(h, unix.POLLPRI) })
	require.ErrorIs(e, err, unix.EINVAL)
}

// down is an engine that refuses the loop's thread.
type down struct{ op.Engine }

func (down) Enter() error { return unix.EPERM }

func engineStaysDown(e *env) {
	open := e.open
	e.open = func(tb testing.TB, c Config) op.Engine { return down{open(tb, c)} }
	e.loop = e.newLoop(Config{})
	h, peer := e.rawPair(unix.SOCK_STREAM)
	closed, other := e.rawPair(unix.SOCK_STREAM)
	results := map[string]chan result{}
	for name, prepare := range map[string]func(*op.Op) *op.Op{
		"timer":   func(o *op.Op) *op.Op { return o.Timeout(time.Hour) },
		"receive": func(o *op.Op) *op.Op { return o.Recv(h, make([]byte, 1)) },
		"close":   func(o *op.Op) *op.Op { return o.Close(closed, 0) },
	} {
		c, done := into(2)
		results[name] = c
		e.submit(prepare(&op.Op{Done: done}))
	}
	posted := make(chan bool, 2)
	require.NoError(e, e.loop.Post(func() { posted <- true }))

	require.ErrorIs(e, e.loop.Run(context.Background()), unix.EPERM)
	require.NoError(e, e.loop.Close())
	require.ErrorIs(e, await(e, results["timer"]).err, proactor.ErrClosed)
	require.ErrorIs(e, await(e, results["receive"]).err, proactor.ErrClosed)
	require.NoError(e, await(e, results["close"]).err)
	await(e, posted)
	for _, fd := range []int{peer, other} {
		n, err := unix.Read(fd, make([]byte, 1))
		require.NoError(e, err)
		require.Zero(e, n, "the other side is closed")
	}
	for _, c := range results {
		require.Empty(e, c, "once")
	}
}
