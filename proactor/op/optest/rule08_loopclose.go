//go:build linux

package optest

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule08 = []test{
	{"Rule08_CloseRunsEveryCallbackAndClosesEveryDescriptor", closeWithEverythingPending},
	{"Rule08_CloseWhileFilesAreBusy", closeWhileFilesAreBusy},
	{"Rule08_CloseEndsAnOpenThatBlocks", closeEndsABlockedOpen},
	{"Rule08_CloseWithoutRunRunsTheCallbacks", closeWithoutRun},
	{"Rule08_CloseFromACallbackEndsRun", closeFromACallback},
	{"Rule08_PostedFunctionsStillRun", closeRunsPosts},
	{"Rule08_RunNeedNotBeOnTheGoroutineOfNew", runElsewhere},
	{"Rule08_ManyClosesWaitForTheSameEnd", manyCloses},
	{"Rule08_TheEngineIsReleasedAfterTheLastCallback", releasedLast},
	{"Rule08_ALoopRunsOnce", runsOnce},
	{"Rule08_ACloseBeforeRunEndsTheLoop", closeBeforeRun},
	{"Rule08_RunReturnsTheCauseOfItsContext", runReturnsCause},
	{"Rule08_RunWithAnEndedContextStillDrains", runWithEndedContext},
	{"Rule08_CloseWaitsForWhatCannotBeInterrupted", closeWaitsForTheDeaf},
	{"Rule08_ACloseWithoutPatienceReturnsTheContextsError", closeLosesPatience},
	{"Rule08_WhatTheKernelStillHoldsIsNotReused", keptMemory},
	{"Rule08_ALoopThatIsDroppedKeepsWhatTheKernelHolds", droppedLoop},
	{"Rule08_CloseContextThatIsNotExceededIsClose", closeContextInTime},
	{"Rule08_ACallbackOfAClosingLoopMaySubmitAndIsRefused", refusedWhileClosing},
	{"Rule08_AClosedLoopTakesNoDescriptor", registerAfterClose},
	{"Rule08_RunOnceWithZeroDoesNotWait", runOnceZero},
	{"Rule08_RunOnceWaitsForItsTimeAtMost", runOnceWaits},
	{"Rule08_RunOnceWithoutLimitIsWoken", runOnceUnlimited},
	{"Rule08_RunOnceBelongsToOneGoroutine", runOnceOwner},
	{"Rule08_RunOnceInsideACallbackIsRefused", runOnceInCallback},
	{"Rule08_CloseOnTheGoroutineOfRunOnce", runOnceClose},
	{"Rule08_CloseFromACallbackOfRunOnce", runOnceCloseFromCallback},
	{"Rule08_CloseFromElsewhereEndsRunOnce", runOnceCloseElsewhere},
	{"Rule08_SubmitRacingWithCloseIsAcceptedOrRefused", submitRacesClose},
	{"Rule08_PostRacingWithCloseIsAcceptedOrRefused", postRacesClose},
}

// everythingPending submits one of each kind that doesn't end by itself, and a
// queue behind some. It returns what its descriptors are.
func everythingPending(e *env) (*census, []string) {
	h, _ := e.rawPair(unix.SOCK_STREAM)
	full, _ := e.rawPair(unix.SOCK_STREAM)
	ln, _ := e.listening(1)
	conn := e.register(e.tcpSocket(), nil)
	to := e.deafServer()
	ops := []func(*op.Op) *op.Op{
		func(o *op.Op) *op.Op { return o.Recv(h, make([]byte, 8)) },
		func(o *op.Op) *op.Op { return o.Recv(h, make([]byte, 8)) },
		func(o *op.Op) *op.Op { return o.Recvv(h, [][]byte{make([]byte, 8)}) },
		func(o *op.Op) *op.Op { return o.Recv(full, make([]byte, 8)).SetTimeout(time.Hour) },
		func(o *op.Op) *op.Op { return o.Send(full, make([]byte, 8<<20)) },
		func(o *op.Op) *op.Op { return o.Sendv(full, [][]byte{make([]byte, 8)}) },
		func(o *op.Op) *op.Op { return o.Shutdown(full, syscall.SHUT_WR) },
		func(o *op.Op) *op.Op { return o.Accept(ln) },
		func(o *op.Op) *op.Op { return o.Accept(ln) },
		func(o *op.Op) *op.Op { return o.Connect(conn, to) },
		func(o *op.Op) *op.Op { return o.Send(conn, make([]byte, 8)) },
		func(o *op.Op) *op.Op { return o.Poll(h, unix.POLLIN) },
		func(o *op.Op) *op.Op { return o.Timeout(time.Hour) },
	}
	c := newCensus(len(ops))
	for i, prepare := range ops {
		e.submit(prepare(c.op(i)))
	}
	return c, []string{link(h.FD()), link(full.FD()), link(ln.FD()), link(conn.FD())}
}

func closeWithEverythingPending(e *env) {
	l := e.start()
	c, links := everythingPending(e)
	e.settle()
	require.Equal(e, len(c.runs), c.left, "something ended by itself")
	require.NoError(e, l.Close())
	c.once(e)
	// The send queued behind one that stopped part-way may say so.
	c.errs(e, net.ErrClosed, op.ErrTorn)
	e.closed(links...)
}

func closeWhileFilesAreBusy(e *env) {
	const each = 100
	l := e.start()
	h, path := e.file(make([]byte, 1<<16))
	at := link(h.FD())
	c := newCensus(4 * each)
	e.onLoop(func() { // in one turn with Close: none is through before it
		for i := range each {
			off := int64(i) * 512
			e.submit(c.op(4*i).ReadAt(h, make([]byte, 512), off))
			e.submit(c.op(4*i+1).WriteAt(h, make([]byte, 512), off))
			e.submit(c.op(4*i + 2).Fdatasync(h))
			e.submit(closing(c.op(4*i+3)).OpenAt(nil, path, unix.O_RDONLY, 0))
		}
		require.NoError(e, l.Post(func() { _ = l.Close() }))
	})
	require.NoError(e, l.Close())
	c.once(e)
	c.errs(e, nil, net.ErrClosed)
	e.closed(at, path)
}

// A FIFO without a writer blocks its reader's open: a worker's can't be
// interrupted. (A ring tries with O_NONBLOCK first, and gets it.)
func closeEndsABlockedOpen(e *env) {
	l := e.start()
	path := filepath.Join(e.TempDir(), "fifo")
	require.NoError(e, unix.Mkfifo(path, 0o600))
	c := newCensus(1)
	e.submit(closing(c.op(0)).OpenAt(nil, path, unix.O_RDONLY, 0))
	e.settle()
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	for l.Post(func() {}) == nil { // until the loop is closing
		runtime.Gosched()
	}
	writer, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(e, err)
	require.NoError(e, await(e, closed))
	unix.Close(writer)
	c.once(e)
	c.errs(e, nil, net.ErrClosed)
	e.closed(path)
}

func closeWithoutRun(e *env) {
	e.loop = e.newLoop(Config{})
	c, links := everythingPending(e)
	require.NoError(e, e.loop.Close())
	c.once(e)
	c.errs(e, net.ErrClosed)
	e.closed(links...)
	require.Zero(e, e.loop.Stats().InFlight)
	require.Zero(e, e.loop.Stats().Handles)
}

func closeFromACallback(e *env) {
	l := e.start()
	c, links := everythingPending(e)
	returned := make(chan int, 1)
	e.submit((&op.Op{Done: func(*op.Op) {
		require.NoError(e, l.Close())
		returned <- c.left // Close only asked: the rest comes after this callback
	}}).Nop())
	require.Equal(e, len(c.runs), await(e, returned))
	err := await(e, e.ran)
	require.NoError(e, err)
	e.ran <- err // for the harness
	c.once(e)
	e.closed(links...)
}

func closeRunsPosts(e *env) {
	l := e.start()
	var first, second bool
	var refusal error
	e.onLoop(func() {
		require.NoError(e, l.Post(func() { first = true }))
		require.NoError(e, l.Close())
		// Accepted until the loop has turned to closing, and then it must run.
		if refusal = l.Post(func() { second = true }); refusal != nil {
			second = true
		}
	})
	require.NoError(e, l.Close())
	require.True(e, first)
	require.True(e, second, "an accepted function didn't run")
	require.ErrorIs(e, l.Post(func() {}), net.ErrClosed)
}

func runElsewhere(e *env) {
	engine := e.open(e.T, Config{Entries: 64, Workers: 1}) // here: it may skip the test
	made := make(chan *proactor.Loop, 1)
	go func() {
		l, err := proactor.New(proactor.WithEngine(engine))
		require.NoError(e, err)
		made <- l
	}()
	l := await(e, made)
	e.loop = l
	c := newCensus(1)
	e.submit(c.op(0).Nop()) // before there is a goroutine
	ran := make(chan error, 1)
	go func() { ran <- l.Run(context.Background()) }()
	await(e, c.all)
	require.NoError(e, l.Close())
	require.NoError(e, await(e, ran))
}

func manyCloses(e *env) {
	t := e.tapped()
	l := e.start()
	c, _ := everythingPending(e)
	e.settle()
	ends := make(chan error, 8)
	for range cap(ends) {
		go func() {
			err := l.Close()
			c.once(e) // each of them has waited for the callbacks
			ends <- err
		}()
	}
	for range cap(ends) {
		require.NoError(e, await(e, ends))
	}
	require.NoError(e, l.Close())
	require.EqualValues(e, 1, t.closes.Load())
}

func releasedLast(e *env) {
	t := e.tapped()
	l := e.start()
	c, _ := everythingPending(e)
	e.settle()
	left := -1
	t.onClose = func() {
		left = c.left
		require.Zero(e, t.InFlight())
	}
	require.NoError(e, l.Close())
	require.Zero(e, left, "callbacks that had not run when the engine was released")
}

func runsOnce(e *env) {
	l := e.start()
	e.onLoop(func() {})
	require.ErrorIs(e, l.Run(context.Background()), proactor.ErrRunning)
	_, err := l.RunOnce(0)
	require.ErrorIs(e, err, proactor.ErrRunning)
	require.NoError(e, l.Close())
	require.ErrorIs(e, l.Run(context.Background()), net.ErrClosed)
	_, err = l.RunOnce(0)
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = l.Submit((&op.Op{Done: func(*op.Op) {}}).Nop())
	require.ErrorIs(e, err, net.ErrClosed)
}

func closeBeforeRun(e *env) {
	l := e.newLoop(Config{})
	require.NoError(e, l.Close())
	require.ErrorIs(e, l.Run(context.Background()), net.ErrClosed)
	_, err := l.RunOnce(0)
	require.ErrorIs(e, err, net.ErrClosed)
	require.NoError(e, l.Close())
}

func runReturnsCause(e *env) {
	e.loop = e.newLoop(Config{})
	c, links := everythingPending(e)
	ctx, cancel := context.WithCancelCause(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- e.loop.Run(ctx) }()
	e.settle()
	why := errors.New("the cause")
	cancel(why)
	require.Equal(e, why, await(e, ran))
	c.once(e)
	e.closed(links...)
}

func runWithEndedContext(e *env) {
	e.loop = e.newLoop(Config{})
	c, links := everythingPending(e)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := make(chan error, 1)
	go func() { ran <- e.loop.Run(ctx) }()
	require.Equal(e, context.Canceled, await(e, ran))
	c.once(e)
	e.closed(links...)
}

func refusedWhileClosing(e *env) {
	l := e.start()
	h, _ := e.rawPair(unix.SOCK_STREAM)
	var refusals []error
	e.submit((&op.Op{Done: func(o *op.Op) {
		_, first := l.Submit(o.Recv(h, make([]byte, 1)))
		_, second := l.Submit(o.Nop())
		refusals = []error{first, second, l.Post(func() {}), l.Close()}
	}}).Recv(h, make([]byte, 1)))
	e.settle()
	require.NoError(e, l.Close())
	require.Len(e, refusals, 4)
	require.ErrorIs(e, refusals[0], net.ErrClosed)
	require.ErrorIs(e, refusals[1], net.ErrClosed)
	require.ErrorIs(e, refusals[2], net.ErrClosed)
	require.NoError(e, refusals[3])
}

func registerAfterClose(e *env) {
	l := e.start()
	e.settle() // Run has begun
	require.NoError(e, l.Close())
	a, b := e.fds(unix.SOCK_STREAM)
	defer unix.Close(a)
	defer unix.Close(b)
	_, err := l.Register(a)
	require.ErrorIs(e, err, net.ErrClosed)
	require.Contains(e, link(a), "socket:", "a refused descriptor stays the caller's")
	_, err = l.Listen("tcp", "127.0.0.1:0")
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = l.Dial("tcp", "127.0.0.1:1", func(*proactor.Conn, error) {})
	require.ErrorIs(e, err, net.ErrClosed)
}
