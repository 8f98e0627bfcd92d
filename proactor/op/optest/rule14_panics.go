//go:build linux

package optest

import (
	"context"
	"net"
	"runtime"
	"runtime/debug"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule14 = []test{
	{"Rule14_APanicInACallbackComesOutOfRun", panicOutOfRun},
	{"Rule14_APanicInAPostedFunctionComesOutOfRun", panicInPost},
	{"Rule14_APanicComesOutOfRunOnce", panicOutOfRunOnce},
	{"Rule14_APanicComesOutOfACloseThatTurnsTheLoop", panicOutOfClose},
	{"Rule14_GoexitInACallbackLeavesTheLoopClosable", goexitInRun},
	{"Rule14_GoexitInAPostedFunctionLeavesTheLoopClosable", goexitInPost},
	{"Rule14_GoexitLeavesALoopOfRunOnceClosable", goexitInRunOnce},
	{"Rule14_GoexitInACloseWithoutRun", goexitInClose},
	{"Rule14_AfterAPanicManyThatWereDueAreStillCalled", panicAmidMany},
	{"Rule14_ASecondPanicComesOutOfClose", secondPanic},
	{"Rule14_ACallbackLeftByAPanicMayCloseTheLoop", closeInLeftCallback},
	{"Rule14_ACallbackLeftByAPanicMaySubmitAndIsRefused", submitInLeftCallback},
	{"Rule14_ManyClosesAfterAPanicRunEachCallbackOnce", manyClosesAfterPanic},
	{"Rule14_APanicWhileTheLoopClosesLosesNothing", panicWhileClosing},
	{"Rule14_APanicInAClosureVerbLeavesItsCallFree", panicInClosure},
}

// outcome is how a goroutine ended that f was the work of.
type outcome struct {
	value any    // of the panic
	stack string // when it was recovered
	exit  bool   // by Goexit
	err   error
}

// runUntilItEnds runs the loop on a goroutine of its own and reports how that ended.
func runUntilItEnds(l *proactor.Loop) chan outcome {
	return endOf(func() error { return l.Run(context.Background()) })
}

func endOf(f func() error) chan outcome {
	c := make(chan outcome, 1)
	go func() {
		out := outcome{exit: true}
		defer func() {
			if out.value = recover(); out.value != nil {
				out.exit, out.stack = false, string(debug.Stack())
			}
			c <- out
		}()
		out.err = f()
		out.exit = false
	}()
	return c
}

// bomb is a callback that panics; its name is looked for in the stack.
func bomb(*op.Op) { panic("boom") }

func goexit(*op.Op) { runtime.Goexit() }

// isolated makes the loop of a test that the harness's start doesn't suit.
func isolated(e *env) (*census, []string) {
	e.loop = e.newLoop(Config{})
	return everythingPending(e)
}

// whole checks what a panic must leave: each callback once, nothing open,
// nothing left in the statistics, no further submission.
func whole(e *env, c *census, links []string) {
	e.Helper()
	closed := make(chan error, 1)
	go func() { closed <- e.loop.Close() }()
	require.NoError(e, await(e, closed))
	c.once(e)
	c.errs(e, net.ErrClosed, op.ErrTorn)
	e.closed(links...)
	s := e.loop.Stats()
	require.Zero(e, s.InFlight, "operations in flight after Close")
	require.Zero(e, s.Due)
	require.Zero(e, s.Handles)
	require.Zero(e, s.Posts)
	_, err := e.loop.Submit((&op.Op{Done: bomb}).Nop())
	require.ErrorIs(e, err, net.ErrClosed)
	require.ErrorIs(e, e.loop.Post(func() {}), net.ErrClosed)
	require.ErrorIs(e, e.loop.Run(context.Background()), net.ErrClosed)
}

func (o outcome) boom(e *env, where string) {
	e.Helper()
	require.Equal(e, "boom", o.value)
	require.Contains(e, o.stack, where, "the stack doesn't show the callback")
}

func panicOutOfRun(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	e.submit((&op.Op{Done: bomb}).Nop())
	await(e, ran).boom(e, "optest.bomb")
	whole(e, c, links)
}

func panicInPost(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	after := false
	require.NoError(e, e.loop.Post(func() {
		require.NoError(e, e.loop.Post(func() { after = true }))
		bomb(nil)
	}))
	await(e, ran).boom(e, "optest.bomb")
	whole(e, c, links)
	require.True(e, after, "an accepted function didn't run")
}

func panicOutOfRunOnce(e *env) {
	c, links := isolated(e)
	e.submit((&op.Op{Done: bomb}).Nop())
	ended := endOf(func() error {
		for {
			if _, err := e.loop.RunOnce(-1); err != nil {
				return err
			}
		}
	})
	await(e, ended).boom(e, "optest.bomb")
	_, err := e.loop.RunOnce(0)
	require.ErrorIs(e, err, net.ErrClosed)
	whole(e, c, links)
}

// Close on the goroutine of RunOnce turns the loop itself.
func panicOutOfClose(e *env) {
	c, links := isolated(e)
	h, _ := e.rawPair(unix.SOCK_STREAM)
	e.submit((&op.Op{Done: bomb}).Recv(h, make([]byte, 1)))
	ended := endOf(func() error {
		if _, err := e.loop.RunOnce(0); err != nil {
			return err
		}
		return e.loop.Close()
	})
	await(e, ended).boom(e, "optest.bomb")
	whole(e, c, links)
}

func goexitInRun(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	e.submit((&op.Op{Done: goexit}).Nop())
	require.True(e, await(e, ran).exit)
	whole(e, c, links)
}

func goexitInPost(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	require.NoError(e, e.loop.Post(func() { goexit(nil) }))
	require.True(e, await(e, ran).exit)
	whole(e, c, links)
}

func goexitInRunOnce(e *env) {
	c, links := isolated(e)
	e.submit((&op.Op{Done: goexit}).Nop())
	ended := endOf(func() error {
		for {
			if _, err := e.loop.RunOnce(-1); err != nil {
				return err
			}
		}
	})
	require.True(e, await(e, ended).exit)
	whole(e, c, links)
}

// Without Run the callbacks run on a goroutine of Close's own, which Goexit ends.
func goexitInClose(e *env) {
	e.loop = e.newLoop(Config{})
	h, _ := e.rawPair(unix.SOCK_STREAM)
	e.submit((&op.Op{Done: goexit}).Recv(h, make([]byte, 1)))
	c, links := everythingPending(e)
	whole(e, c, links)
}

func panicAmidMany(e *env) {
	const n = 3000
	c, links := isolated(e)
	many := newCensus(n)
	ran := runUntilItEnds(e.loop)
	e.settle()
	posted := 0
	require.NoError(e, e.loop.Post(func() {
		for i := range n {
			if i == n/3 {
				e.submit((&op.Op{Done: bomb}).Nop())
			}
			e.submit(many.op(i).Nop())
			require.NoError(e, e.loop.Post(func() { posted++ }))
		}
	}))
	await(e, ran).boom(e, "optest.bomb")
	require.Less(e, n/3-1, n-many.left, "the callbacks before it")
	whole(e, c, links)
	many.once(e)
	require.Equal(e, n, posted)
}

// What was due when a callback panicked runs in Close. If that panics, too, it
// comes out of Close, and the next Close goes on.
func secondPanic(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	require.NoError(e, e.loop.Post(func() {
		e.submit((&op.Op{Done: bomb}).Nop())
		e.submit((&op.Op{Done: bomb}).Nop())
	}))
	await(e, ran).boom(e, "optest.bomb")
	await(e, endOf(e.loop.Close)).boom(e, "optest.bomb")
	whole(e, c, links)
}

func closeInLeftCallback(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	closes := 0
	require.NoError(e, e.loop.Post(func() {
		e.submit((&op.Op{Done: bomb}).Nop())
		e.submit((&op.Op{Done: func(*op.Op) {
			require.NoError(e, e.loop.Close()) // as any callback may
			closes++
		}}).Nop())
	}))
	await(e, ran).boom(e, "optest.bomb")
	whole(e, c, links)
	require.Equal(e, 1, closes)
}

func submitInLeftCallback(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	var refusal error
	require.NoError(e, e.loop.Post(func() {
		e.submit((&op.Op{Done: bomb}).Nop())
		e.submit((&op.Op{Done: func(o *op.Op) { _, refusal = e.loop.Submit(o.Nop()) }}).Nop())
	}))
	await(e, ran).boom(e, "optest.bomb")
	whole(e, c, links)
	require.ErrorIs(e, refusal, net.ErrClosed)
}

func manyClosesAfterPanic(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	e.submit((&op.Op{Done: bomb}).Nop())
	closes := make(chan error, 8)
	for range cap(closes) {
		go func() { closes <- e.loop.Close() }()
	}
	// Whether Close or the panic was first, the panic isn't lost.
	await(e, ran).boom(e, "optest.bomb")
	for range cap(closes) {
		require.NoError(e, await(e, closes))
	}
	whole(e, c, links)
}

func panicWhileClosing(e *env) {
	c, links := isolated(e)
	h, _ := e.rawPair(unix.SOCK_STREAM)
	e.submit((&op.Op{Done: bomb}).Recv(h, make([]byte, 1))) // called when the loop closes
	ran := runUntilItEnds(e.loop)
	e.settle()
	go e.loop.Close()
	await(e, ran).boom(e, "optest.bomb")
	whole(e, c, links)
}

func panicInClosure(e *env) {
	c, links := isolated(e)
	ran := runUntilItEnds(e.loop)
	e.settle()
	_, err := e.loop.After(0, func(error) { bomb(nil) })
	require.NoError(e, err)
	await(e, ran).boom(e, "optest.bomb")
	whole(e, c, links)
	require.Zero(e, e.loop.Stats().Calls)
}
