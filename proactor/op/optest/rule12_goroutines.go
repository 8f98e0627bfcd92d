//go:build linux

package optest

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule12 = []test{
	{"Rule12_SixteenGoroutinesDoEverythingAtOnce", everythingAtOnce},
	{"Rule12_WhatHappenedBeforeSubmitIsVisibleInTheCallback", visibleInCallback},
	{"Rule12_WhatTheCallbackDidIsVisibleToWhomItSignals", visibleAfterSignal},
	{"Rule12_WhatHappenedBeforePostIsVisibleInIt", visibleInPost},
	{"Rule12_ASleepingLoopIsWokenEachTime", wokenEachTime},
	{"Rule12_CallbacksNeverOverlap", callbacksNeverOverlap},
	{"Rule12_AnyGoroutineMayRegisterAndClose", registerAnywhere},
	{"Rule12_AHandleClosedByManyIsClosedOnce", closedByMany},
	{"Rule12_AnyGoroutineMayCancelASubmission", cancelAnywhere},
	{"Rule12_AnyGoroutineMayReadTheStatistics", statsAnywhere},
}

const goroutines = 16

// everywhere runs f on 16 goroutines at once and waits for them.
func everywhere(f func(g int)) {
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() { f(g) })
	}
	all.Wait()
}

func everythingAtOnce(e *env) {
	const rounds = 40
	l := e.start()
	e.settle()
	var accepted, refused atomic.Int64
	ran := 0
	count := func(*op.Op) { ran++ }
	submit := func(o *op.Op) op.Ticket {
		t, err := l.Submit(o)
		if err == nil {
			accepted.Add(1)
		} else if refused.Add(1); !errors.Is(err, net.ErrClosed) {
			e.Errorf("refused with %v", err)
		}
		return t
	}
	everywhere(func(g int) {
		a, b, err := socketpair()
		if err != nil {
			e.Error(err)
			return
		}
		defer unix.Close(b)
		h, err := l.Register(a)
		if err != nil {
			e.Error(err)
			return
		}
		for i := range rounds {
			recv := submit((&op.Op{Done: count}).Recv(h, make([]byte, 1)))
			submit((&op.Op{Done: count}).Send(h, []byte("x")))
			submit((&op.Op{Done: count}).Nop())
			timer := submit((&op.Op{Done: count}).Timeout(time.Duration(i) * time.Millisecond))
			poll := submit((&op.Op{Done: count}).Poll(h, unix.POLLIN).SetTimeout(time.Millisecond))
			if i%2 == 0 {
				l.Cancel(recv)
				submit((&op.Op{Done: count}).Cancel(timer))
			} else {
				unix.Write(b, []byte("y"))
				l.Cancel(poll)
			}
			if err := l.Post(func() { ran++ }); err == nil {
				accepted.Add(1)
			}
		}
		if g%2 == 0 {
			submit((&op.Op{Done: count}).Close(h, 0))
			submit((&op.Op{Done: count}).Nop())
			submit((&op.Op{Done: count}).Recv(h, make([]byte, 1)))
		}
	})
	require.NoError(e, l.Close())
	require.EqualValues(e, accepted.Load(), ran)
	require.EqualValues(e, goroutines/2, refused.Load(), "the receives on closed handles")
}

func socketpair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	return p[0], p[1], err
}

// The race detector fails these three if there is no order.
func visibleInCallback(e *env) {
	l := e.start()
	everywhere(func(int) {
		for range 100 {
			before, seen := 0, make(chan int, 1)
			o := &op.Op{Done: func(*op.Op) { seen <- before }}
			o.Nop()
			before = 7
			if _, err := l.Submit(o); err != nil {
				e.Error(err)
				return
			}
			if v := <-seen; v != 7 {
				e.Errorf("the callback saw %d", v)
			}
		}
	})
}

func visibleAfterSignal(e *env) {
	l := e.start()
	h, peer := e.rawPair(unix.SOCK_STREAM)
	data := make([]byte, 8)
	for i := range 100 {
		var n int
		done := make(chan struct{})
		o := &op.Op{Done: func(o *op.Op) {
			n, _ = o.Result()
			close(done)
		}}
		_, err := l.Submit(o.Recv(h, data))
		require.NoError(e, err)
		_, err = unix.Write(peer, []byte{byte(i)})
		require.NoError(e, err)
		await(e, done)
		require.Equal(e, 1, n)
		require.Equal(e, byte(i), data[0], "the kernel's write")
		data[0] = 0xff // ours again
	}
}

func visibleInPost(e *env) {
	l := e.start()
	everywhere(func(int) {
		for range 100 {
			value, seen := 0, make(chan struct{})
			value = 1
			if err := l.Post(func() { value++; close(seen) }); err != nil {
				e.Error(err)
				return
			}
			if <-seen; value != 2 {
				e.Errorf("it is %d", value)
			}
		}
	})
}

// Each of these finds the loop asleep, or on its way there.
func wokenEachTime(e *env) {
	e.start()
	for range 2000 {
		e.onLoop(func() {})
	}
	for range 1000 {
		_, err := e.do((*op.Op).Nop)
		require.NoError(e, err)
	}
	h, _ := e.rawPair(unix.SOCK_STREAM)
	for range 500 {
		c := newCensus(1)
		e.loop.Cancel(e.submit(c.op(0).Recv(h, make([]byte, 1))))
		await(e, c.all)
	}
}

func callbacksNeverOverlap(e *env) {
	l := e.start()
	var inside atomic.Int32
	var overlaps atomic.Int32
	visit := func() {
		if inside.Add(1) != 1 {
			overlaps.Add(1)
		}
		inside.Add(-1)
	}
	var all sync.WaitGroup
	everywhere(func(int) {
		for range 200 {
			all.Add(2)
			o := &op.Op{Done: func(*op.Op) { visit(); all.Done() }}
			_, first := l.Submit(o.Nop())
			second := l.Post(func() { visit(); all.Done() })
			if first != nil || second != nil {
				e.Error(first, second)
				return
			}
		}
	})
	all.Wait()
	require.Zero(e, overlaps.Load())
}

func registerAnywhere(e *env) {
	l := e.start()
	everywhere(func(int) {
		for range 20 {
			a, b, err := socketpair()
			if err != nil {
				e.Error(err)
				return
			}
			c, err := l.NewConn(a)
			if err != nil {
				e.Error(err)
				return
			}
			done := make(chan error, 2)
			_, err = c.Recv(make([]byte, 1), func(_ int, err error) { done <- err })
			if err != nil || c.Close(func(err error) { done <- err }) != nil {
				e.Error("refused")
				return
			}
			if err := <-done; !errors.Is(err, net.ErrClosed) {
				e.Error("the receive ended with", err)
			}
			if err := <-done; err != nil {
				e.Error("the close ended with", err)
			}
			unix.Close(b)
		}
	})
	require.Zero(e, l.Stats().Handles)
}

func closedByMany(e *env) {
	l := e.start()
	for range 50 {
		h, _ := e.rawPair(unix.SOCK_STREAM)
		var accepted atomic.Int64
		ran, all := 0, make(chan struct{}, goroutines)
		done := func(*op.Op) { ran++; all <- struct{}{} }
		everywhere(func(int) {
			if _, err := l.Submit((&op.Op{Done: done}).Close(h, 0)); err == nil {
				accepted.Add(1)
			} else if !errors.Is(err, net.ErrClosed) {
				e.Error(err)
			}
		})
		require.EqualValues(e, 1, accepted.Load())
		await(e, all)
		require.Equal(e, 1, ran)
	}
}

func cancelAnywhere(e *env) {
	l := e.start()
	h, _ := e.rawPair(unix.SOCK_STREAM)
	const n = 200
	c := newCensus(n)
	tickets := make([]op.Ticket, n)
	for i := range tickets {
		tickets[i] = e.submit(c.op(i).Recv(h, make([]byte, 1)))
	}
	everywhere(func(g int) {
		for i := range tickets {
			l.Cancel(tickets[(i+g*17)%n])
		}
	})
	await(e, c.all)
	c.once(e)
	c.errs(e, op.ErrCanceled)
}

func statsAnywhere(e *env) {
	l := e.start()
	var total atomic.Uint64
	everywhere(func(g int) {
		var last uint64
		for range 100 {
			s := l.Stats()
			if s.Submitted < last || s.InFlight < 0 || s.Due < 0 || s.Posts < 0 || s.Calls < 0 {
				e.Errorf("impossible statistics: %+v", s)
			}
			last = s.Submitted
			done := make(chan struct{})
			if _, err := l.Submit((&op.Op{Done: func(*op.Op) { close(done) }}).Nop()); err != nil {
				e.Error(err)
				return
			}
			total.Add(1)
			<-done
		}
	})
	all := func() bool { return l.Stats().Submitted == total.Load() }
	require.Eventually(e, all, patience, time.Millisecond)
	e.inFlight(0)
}
