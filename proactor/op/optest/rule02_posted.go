//go:build linux

package optest

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

var rule02 = []test{
	{"Rule02_NoCallbackRunsInsideSubmit", rule02Inside},
	{"Rule02_CallbacksRunOneAtATimeOnOneGoroutine", rule02OneAtATime},
	{"Rule02_ResubmittingDoesNotGrowTheStack", rule02Resubmit},
	{"Rule02_ResubmittingWhatNeedsNoKernelDoesNotGrowTheStack", rule02ResubmitEmpty},
	{"Rule02_ALongLineEndsWithoutRecursion", rule02LongLine},
	{"Rule02_ACallbackMaySubmitCancelAndClose", rule02FromCallback},
}

// A submission from the loop's own goroutine is where an engine could be tempted
// to run the callback at once.
func rule02Inside(e *env) {
	e.start()
	for c, d := range deeds(e) {
		inside := false
		ran := make(chan bool, 2)
		o := d(&op.Op{Done: func(o *op.Op) { dispose(o); ran <- inside }})
		var err error
		e.onLoop(func() {
			inside = true
			_, err = e.loop.Submit(o)
			inside = false
		})
		require.NoError(e, err, "%v", c)
		require.False(e, await(e, ran), "the callback of %v ran inside Submit", c)
	}
}

// goroutine returns the number of the calling goroutine.
func goroutine() uint64 {
	b := make([]byte, 64)
	b = b[:runtime.Stack(b, false)]
	id, _, _ := strings.Cut(strings.TrimPrefix(string(b), "goroutine "), " ")
	n, _ := strconv.ParseUint(id, 10, 64)
	return n
}

func rule02OneAtATime(e *env) {
	e.start()
	h, _ := e.pair()
	f, _ := e.tempFile(pattern(0, 4096))
	var running, overlaps atomic.Int32
	var on sync.Map
	n := many(100, 40)
	ended := make(chan struct{}, 5*4*n)
	inCallback := func() {
		if running.Add(1) != 1 {
			overlaps.Add(1)
		}
		on.Store(goroutine(), true)
		runtime.Gosched() // lets another callback in, if there is one
		running.Add(-1)
		ended <- struct{}{}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range n {
				put := func() *op.Op { return &op.Op{Done: func(*op.Op) { inCallback() }} }
				t := e.put(put().Timeout(time.Millisecond))
				e.put(put().Nop())
				e.put(put().ReadAt(f, make([]byte, 8), 0)) // on a worker, in some engines
				e.put(put().Recv(h, nil))
				e.loop.Cancel(t)
				require.NoError(e, e.loop.Post(inCallback))
			}
		})
	}
	all.Wait()
	for range cap(ended) {
		await(e, ended)
	}
	require.Zero(e, overlaps.Load(), "callbacks ran at the same time")
	var ids []uint64
	on.Range(func(id, _ any) bool { ids = append(ids, id.(uint64)); return true })
	require.Len(e, ids, 1, "callbacks ran on several goroutines")
	require.NotEqual(e, goroutine(), ids[0])
}

func rule02Resubmit(e *env) {
	e.start()
	resubmit(e, many(1_000_000, 50_000), (*op.Op).Nop)
}

func rule02ResubmitEmpty(e *env) {
	e.start()
	h, _ := e.pair()
	resubmit(e, many(200_000, 20_000), func(o *op.Op) *op.Op { return o.Recv(h, nil) })
}

// resubmit submits operations anew in their callbacks, n in all, and requires
// the stack in the callbacks to stay as deep as it was. Several go round, so
// that the turns of the loop are few.
func resubmit(e *env, n int, d deed) {
	e.Helper()
	const round = 64
	ended, todo, refused := 0, n-round, 0 // the loop goroutine's
	first, deepest := 0, 0
	over := make(chan struct{})
	done := func(o *op.Op) {
		ended++
		if ended%256 == 1 {
			deepest = max(deepest, stackDepth())
			if first == 0 {
				first = deepest
			}
		}
		if todo > 0 {
			todo--
			if _, err := e.loop.Submit(d(o)); err != nil {
				refused++
			}
		}
		if ended == n {
			close(over)
		}
	}
	for range round {
		e.put(d(&op.Op{Done: done}))
	}
	await(e, over)
	require.Zero(e, refused)
	require.LessOrEqual(e, deepest, first+4, "frames on the stack of a callback")
}

func stackDepth() int {
	var frames [512]uintptr
	return runtime.Callers(0, frames[:])
}

// The callbacks can't see a recursion that happened before them, but the stacks
// keep the size that it made them grow to.
func rule02LongLine(e *env) {
	e.start()
	h, _ := e.pair()
	n := many(50_000, 20_000)
	ops := make([]op.Op, n)
	left, deepest, over := n, 0, make(chan struct{})
	for i := range ops {
		ops[i].Done = func(*op.Op) {
			deepest = max(deepest, stackDepth())
			if left--; left == 0 {
				close(over)
			}
		}
		e.put(ops[i].Recv(h, make([]byte, 1)))
	}
	e.settle()
	before := stacks()
	e.abort(h)
	await(e, over)
	require.Less(e, int64(stacks())-int64(before), int64(n)*20, "bytes of stack")
	require.Less(e, deepest, 100)
}

func stacks() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}

func rule02FromCallback(e *env) {
	e.start()
	h, _ := e.pair()
	other, _ := e.pair()
	recv, late, closing := newJob(), newJob(), newJob()
	t := e.put(recv.Recv(h, make([]byte, 1)))
	errs := make(chan error, 4)
	first := &op.Op{Done: func(*op.Op) {
		e.loop.Cancel(t)
		_, err := e.loop.Submit(closing.Close(other, time.Hour))
		errs <- err
		_, err = e.loop.Submit(late.Nop())
		errs <- err
		errs <- e.loop.Post(func() { errs <- nil })
	}}
	e.put(first.Nop())
	for range 4 {
		require.NoError(e, await(e, errs))
	}
	recv.waitFor(e, 0, op.ErrCanceled)
	closing.waitFor(e, 0, nil)
	late.waitFor(e, 0, nil)
}
