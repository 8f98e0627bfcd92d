//go:build linux

package optest

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
	"weak"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A receive whose cancel gets lost stands for a system call that nothing
// interrupts. Close must wait for it, and deliver what it really came to.
func closeWaitsForTheDeaf(e *env) {
	t := e.tapped()
	lost := make(chan struct{})
	t.deaf = func(o *op.Op) bool {
		if o.Code() != op.Recv {
			return false
		}
		close(lost)
		return true
	}
	l := e.start()
	h, peer := e.rawPair(unix.SOCK_STREAM)
	c, buf := newCensus(1), make([]byte, 8)
	e.submit(c.op(0).Recv(h, buf))
	e.settle()
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	await(e, lost)
	require.Empty(e, closed)
	_, err := unix.Write(peer, []byte("late"))
	require.NoError(e, err)
	require.NoError(e, await(e, closed))
	c.once(e)
	require.Equal(e, result{4, nil}, c.results[0])
	require.Equal(e, "late", string(buf[:4]))
}

// impatient closes a loop of which a receive can't be interrupted, and calls
// check when the close has given up. Then it ends the engine, on its thread.
func impatient(e *env, recv func(*op.Handle) *op.Op, check func(*tap, *op.Handle)) {
	t := e.tapped()
	t.deaf = isCode(op.Recv)
	e.loop = e.newLoop(Config{})
	h, peer := e.rawPair(unix.SOCK_STREAM)
	e.submit(recv(h))
	ran, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // once more than Run does: this stays the engine's thread
		defer runtime.UnlockOSThread()
		_ = e.loop.Run(context.Background())
		close(ran)
		<-end
		drainEngine(t)
	}()
	e.settle()
	why := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	require.Equal(e, why, e.loop.CloseContext(ctx))
	await(e, ran)
	check(t, h)
	unix.Write(peer, []byte("x"))
	close(end)
	await(e, ended)
	unix.Close(h.FD()) // the loop's for ever, but not the test's
}

// drainEngine ends what a loop has left with its engine for ever.
func drainEngine(t *tap) {
	for t.Engine.InFlight() > 0 {
		_, _ = t.Engine.Wait(time.Second, 0, nil)
	}
	_ = t.Engine.Close()
}

func closeLosesPatience(e *env) {
	ran := false
	var o *op.Op
	recv := func(h *op.Handle) *op.Op {
		o = &op.Op{Done: func(*op.Op) { ran = true }}
		return o.Recv(h, make([]byte, 8))
	}
	impatient(e, recv, func(t *tap, h *op.Handle) {
		require.Zero(e, t.closes.Load(), "the engine was released under the kernel's hands")
		require.True(e, o.InFlight(), "the operation was given back although the kernel has it")
		require.Contains(e, link(h.FD()), "socket:", "the descriptor was closed")
		require.Panics(e, func() { o.Nop() })
	})
	require.False(e, ran, "a callback after the loop's end")
}

// The buffer is reachable only through the loop. If that let go of it, the
// garbage collector would, too, and the kernel would write into another object.
func keptMemory(e *env) {
	var collected atomic.Bool
	recv := func(h *op.Handle) *op.Op {
		buf := new([1 << 16]byte)
		runtime.AddCleanup(buf, func(struct{}) { collected.Store(true) }, struct{}{})
		return (&op.Op{Done: func(*op.Op) {}}).Recv(h, buf[:])
	}
	impatient(e, recv, func(t *tap, h *op.Handle) {
		clear(t.started)
		e.loop = nil
		for range 3 {
			runtime.GC()
		}
		// The cleanup of an object that is garbage comes before that of a later one.
		probe := make(chan struct{})
		runtime.AddCleanup(new([1 << 16]byte), func(c chan struct{}) { close(c) }, probe)
		runtime.GC()
		await(e, probe)
		require.False(e, collected.Load(), "a buffer that the kernel holds was collected")
	})
}

// Nobody has a loop any more that was never closed, but the kernel its receive.
func droppedLoop(e *env) {
	type memory [1 << 16]byte
	a, b := e.fds(unix.SOCK_STREAM)
	e.Cleanup(func() { unix.Close(b) })
	begin := func() (weak.Pointer[proactor.Loop], weak.Pointer[memory]) {
		l, err := proactor.New(proactor.WithEngine(e.open(e.T, Config{Entries: 256, Workers: 4})))
		require.NoError(e, err)
		h, err := l.Register(a)
		require.NoError(e, err)
		buf := new(memory)
		_, err = l.Submit((&op.Op{Done: func(*op.Op) {}}).Recv(h, buf[:]))
		require.NoError(e, err)
		for range 3 {
			_, err = l.RunOnce(0)
			require.NoError(e, err)
		}
		return weak.Make(l), weak.Make(buf)
	}
	ended := make(chan bool)
	go func() { // the loop's
		defer close(ended)
		l, buf := begin()
		for range 3 {
			runtime.GC()
		}
		ended <- buf.Value() != nil
		if again := l.Value(); again != nil {
			_ = again.Close()
		}
		for until := time.Now().Add(patience); buf.Value() != nil && time.Now().Before(until); {
			runtime.GC()
		}
		ended <- buf.Value() == nil
	}()
	require.True(e, await(e, ended), "a buffer that the kernel holds was collected")
	require.True(e, await(e, ended), "a loop that was closed keeps its memory")
}

func closeContextInTime(e *env) {
	l := e.start()
	c, links := everythingPending(e)
	e.settle()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(e, l.CloseContext(ctx))
	c.once(e)
	e.closed(links...)
}
