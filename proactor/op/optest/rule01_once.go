//go:build linux

package optest

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule01 = []test{
	{"Rule01_EachCodeHasOneFinalCallback", rule01EachCode},
	{"Rule01_EachSubmissionWakesASleepingLoop", rule01Wakes},
	{"Rule01_OneCallbackWhenCancelDeadlineAndCompletionRace", rule01Race},
	{"Rule01_OneCallbackWhenManyReceivesRace", rule01RaceInLine},
	{"Rule01_AClosedLoopRefuses", rule01ClosedLoop},
	{"Rule01_AcceptedOrRefusedWhileTheLoopCloses", rule01LoopCloses},
	{"Rule01_AClosedHandleRefuses", rule01ClosedHandle},
	{"Rule01_AcceptedOrRefusedWhileAHandleCloses", rule01HandleCloses},
	{"Rule01_ProgrammerErrorsPanic", rule01Panics},
	{"Rule01_AfterAPanicTheOperationIsStillTheCallers", rule01AfterPanic},
	{"Rule01_ImpossibleArgumentsAreRefused", rule01Invalid},
}

func rule01EachCode(e *env) {
	e.start()
	all := deeds(e)
	var jobs []*job
	for _, c := range oneShots() {
		if all[c] == nil {
			continue // not supported
		}
		j := newJob()
		done := j.Done
		j.Done = func(o *op.Op) { dispose(o); done(o) }
		e.put(all[c](&j.Op))
		_, err := j.wait(e)
		require.NoError(e, err, c)
		require.Equal(e, c, j.Code())
		jobs = append(jobs, j)
	}
	e.settle()
	for _, j := range jobs {
		require.Empty(e, j.got, "a second callback of %v", j.Code())
		require.False(e, j.InFlight())
	}
}

// More often than any counter in the waker may be able to count.
func rule01Wakes(e *env) {
	e.start()
	j := newJob()
	for range many(1500, 600) {
		e.put(j.Nop())
		j.waitFor(e, 0, nil)
	}
}

func rule01Race(e *env) {
	e.start()
	for c, d := range deeds(e) {
		raceEnds(e, c, many(150, 50), d)
	}
}

func rule01RaceInLine(e *env) {
	e.start()
	h, peer := e.barePair()
	n := many(4000, 500)
	raceEnds(e, op.Recv, n, func(o *op.Op) *op.Op {
		if rand.IntN(2) == 0 {
			_, _ = unix.Write(peer, []byte{1}) // if it is full, others will do
		}
		return o.Recv(h, make([]byte, 2))
	})
}

// raceEnds submits operations that end by themselves, by a deadline and by a
// cancel of another goroutine at about the same time.
func raceEnds(e *env, c op.Code, n int, d deed) {
	e.Helper()
	calls := make([]atomic.Int32, n)
	ended := make(chan error, 2*n)
	tickets := make(chan op.Ticket, n)
	go func() {
		for t := range tickets {
			e.loop.Cancel(t)
		}
	}()
	for i := range n {
		o := &op.Op{Done: func(o *op.Op) {
			dispose(o)
			calls[i].Add(1)
			_, err := o.Result()
			ended <- err
		}}
		t := e.put(d(o).SetTimeout(time.Duration(rand.IntN(200)) * time.Microsecond))
		if i%3 != 0 {
			tickets <- t
		}
	}
	close(tickets)
	for range n {
		requireEnded(e, c, await(e, ended))
	}
	e.settle()
	for i := range calls {
		require.EqualValues(e, 1, calls[i].Load(), "callbacks of %v %d", c, i)
	}
}

func requireEnded(e *env, c op.Code, err error) {
	e.Helper()
	if err != nil && !isEnd(err) {
		require.NoError(e, err, "%v", c)
	}
}

func rule01ClosedLoop(e *env) {
	l := e.start()
	var calls atomic.Int32
	var ops []*op.Op
	for _, d := range deeds(e) {
		ops = append(ops, d(&op.Op{Done: func(*op.Op) { calls.Add(1) }}))
	}
	e.settle()
	require.NoError(e, l.Close())
	other := e.another()
	for _, o := range ops {
		c := o.Code()
		t, err := l.Submit(o)
		require.ErrorIs(e, err, net.ErrClosed, "%v", c)
		require.False(e, o.InFlight(), "%v", c)
		require.False(e, l.Cancel(t), "%v", c)
		require.Zero(e, calls.Load(), "callback of %v", c)
		// The operation is still the caller's: it works elsewhere.
		done := make(chan struct{})
		o.Done = func(*op.Op) { close(done) }
		_, err = other.Submit(o.Nop())
		require.NoError(e, err)
		await(e, done)
	}
}

// another returns a second loop, which runs.
func (e *env) another() *proactor.Loop {
	l := e.newLoop(Config{})
	go func() { _ = l.Run(context.Background()) }()
	return l
}

// submitUntilRefused submits operations from several goroutines until they are
// refused, while during runs. It requires as many callbacks as were accepted.
func submitUntilRefused(e *env, l *proactor.Loop, callbacks *atomic.Int64, prepare deed, during func()) {
	e.Helper()
	var accepted, wrong atomic.Int64
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for {
				if accepted.Load()-callbacks.Load() > 1000 {
					runtime.Gosched()
					continue
				}
				o := prepare(&op.Op{Done: func(*op.Op) { callbacks.Add(1) }})
				if _, err := l.Submit(o); err != nil {
					if err != net.ErrClosed || o.InFlight() {
						wrong.Add(1)
					}
					return
				}
				accepted.Add(1)
			}
		})
	}
	during()
	all.Wait()
	require.Zero(e, wrong.Load(), "refused with another error, or not given back")
	require.Eventually(e, func() bool { return accepted.Load() == callbacks.Load() }, patience, time.Millisecond)
}

func rule01LoopCloses(e *env) {
	for range many(25, 5) {
		l := e.another()
		var callbacks atomic.Int64
		submitUntilRefused(e, l, &callbacks, (*op.Op).Nop, func() {
			for callbacks.Load() < 100 {
				time.Sleep(10 * time.Microsecond) // lets the submitters run
			}
			require.NoError(e, l.Close())
		})
	}
}

func rule01ClosedHandle(e *env) {
	e.start()
	eachOnHandle(e, func(c op.Code, prepare func(*op.Op, op.Target) *op.Op) {
		h, peer := e.narrowPair()
		other, _ := e.pair()
		e.stuff(h)
		send, closing, j := newJob(), newJob(), newJob()
		e.put(send.Send(h, []byte("x")))
		e.put(closing.Close(h, -1))
		refused := func(when string) {
			_, err := e.loop.Submit(prepare(&j.Op, h))
			require.ErrorIs(e, err, net.ErrClosed, "%v %s", c, when)
			require.False(e, j.InFlight(), "%v %s", c, when)
		}
		refused("just after the close")
		e.settle()
		refused("while the close flushes")
		require.NoError(e, peer.Close()) // the send fails, so the close ends
		closing.waitFor(e, 0, nil)
		refused("after the close")
		require.Empty(e, j.got, "callback of a refused %v", c)
		e.put(j.Poll(other, unix.POLLOUT))
		_, err := j.wait(e)
		require.NoError(e, err)
	})
}

func rule01HandleCloses(e *env) {
	l := e.start()
	defer e.collect()() // preempts the submitters anywhere
	for range many(60, 30) {
		h, _ := e.pair()
		var callbacks, last atomic.Int64
		last.Store(-1)
		closing := &op.Op{}
		closed := make(chan struct{})
		closing.Done = func(*op.Op) { last.Store(callbacks.Load()); close(closed) }
		submitUntilRefused(e, l, &callbacks, func(o *op.Op) *op.Op { return o.Recv(h, nil) }, func() {
			for callbacks.Load() < 20 {
				time.Sleep(10 * time.Microsecond) // lets the submitters run
			}
			e.put(closing.Close(h, time.Hour))
			await(e, closed)
		})
		e.settle()
		require.Equal(e, last.Load(), callbacks.Load(), "callbacks after the close's own")
	}
}

func rule01Panics(e *env) {
	l := e.start()
	h, _ := e.pair()
	ready := func() *op.Op { return &op.Op{Done: func(*op.Op) {}} }
	foreign, err := e.another().Register(e.newSocket(unix.AF_UNIX))
	require.NoError(e, err)
	busy := ready()
	e.put(busy.Recv(h, make([]byte, 1)))
	for text, f := range map[string]func(){
		"without a callback":         func() { _, _ = l.Submit((&op.Op{}).Nop()) },
		"no verb has prepared":       func() { _, _ = l.Submit(ready()) },
		"submit of an Op that is in": func() { _, _ = l.Submit(busy) },
		"was prepared anew":          func() { busy.Nop() },
		"(recv) was prepared":        func() { busy.SetTimeout(time.Second) },
		"an Op in flight (recv)":     func() { busy.SetDeadline(time.Now()) },
		"recv on a handle of another": func() {
			_, _ = l.Submit(ready().Recv(foreign, make([]byte, 1)))
		},
		"fsync on a handle of another": func() { _, _ = l.Submit(ready().Fsync(new(op.Handle))) },
		"post of a nil function":       func() { _ = l.Post(nil) },
	} {
		requirePanic(e, text, f)
	}
	eachOnHandle(e, func(c op.Code, prepare func(*op.Op, op.Target) *op.Op) {
		requirePanic(e, c.String()+" without a handle", func() { _, _ = l.Submit(prepare(ready(), nil)) })
	})
	e.settle()
	require.True(e, busy.InFlight(), "what was in flight has been harmed")
}

func requirePanic(e *env, text string, f func()) {
	e.Helper()
	defer func() {
		e.Helper()
		require.Contains(e, recover(), text)
	}()
	f()
}

func rule01AfterPanic(e *env) {
	l := e.start()
	foreign, err := e.another().Register(e.newSocket(unix.AF_UNIX))
	require.NoError(e, err)
	e.settle()
	for _, wrong := range []op.Target{nil, foreign} {
		j := newJob()
		require.Panics(e, func() { _, _ = l.Submit(j.Recv(wrong, make([]byte, 1))) })
		require.False(e, j.InFlight(), "a panicking Submit kept the operation")
		e.put(j.Nop())
		j.waitFor(e, 0, nil)
	}
}

func rule01Invalid(e *env) {
	e.start()
	f, path := e.tempFile(pattern(0, 10))
	b, v := make([]byte, 4), [][]byte{make([]byte, 4)}
	for name, d := range map[string]deed{
		"read":   func(o *op.Op) *op.Op { return o.ReadAt(f, b, -1) },
		"readv":  func(o *op.Op) *op.Op { return o.ReadvAt(f, v, -2) },
		"write":  func(o *op.Op) *op.Op { return o.WriteAt(f, b, -1<<63) },
		"writev": func(o *op.Op) *op.Op { return o.WritevAt(f, v, -1) },
		"openat": func(o *op.Op) *op.Op { return o.OpenAt(nil, path+"\x00.txt", 0, 0) },
	} {
		j := newJob()
		_, err := e.loop.Submit(d(&j.Op))
		require.ErrorIs(e, err, op.ErrInvalid, name)
		require.False(e, j.InFlight(), name)
		e.settle()
		require.Empty(e, j.got, "callback of a refused %s", name)
		e.put(j.ReadAt(f, b, 0))
		j.waitFor(e, 4, nil)
	}
}
