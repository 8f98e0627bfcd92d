//go:build linux

package optest

import (
	"encoding/binary"
	"math"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The tests of eventfds.
var eventTests = []test{
	{"Event_CountsWhatIsAdded", eventCounts},
	{"Event_ASemaphoreGivesOneAtATime", eventSemaphore},
	{"Event_AWaitIsCancelledAndTakesNothing", eventCancel},
	{"Event_AnAddThatWouldOverflowWaits", eventOverflow},
	{"Event_ClosesAndAborts", eventClose},
	{"Event_IsSharedByItsDescriptor", eventShared},
	{"Event_AWaitAllocatesNothing", eventAllocs},
	{"Event_AddsOfManyGoroutinesAreAllCounted", eventGoroutines},
}

// taken is what a Wait was given.
type taken struct {
	n   uint64
	err error
}

func (e *env) event(initial uint64, semaphore bool) *proactor.Event {
	e.Helper()
	v, err := e.loop.NewEvent(initial, semaphore)
	require.NoError(e, err)
	return v
}

// waits submits a Wait.
func (e *env) waits(v *proactor.Event) (chan taken, proactor.Ticket) {
	e.Helper()
	c := make(chan taken, 2)
	t, err := v.Wait(func(n uint64, err error) { c <- taken{n, err} })
	require.NoError(e, err)
	return c, t
}

// adds submits an Add.
func (e *env) adds(v *proactor.Event, n uint64) (chan error, proactor.Ticket) {
	e.Helper()
	c := make(chan error, 2)
	t, err := v.Add(n, func(err error) { c <- err })
	require.NoError(e, err)
	return c, t
}

// add adds and waits for the answer.
func (e *env) add(v *proactor.Event, n uint64) {
	e.Helper()
	c, _ := e.adds(v, n)
	require.NoError(e, await(e, c))
}

func eventCounts(e *env) {
	l := e.start()
	v := e.event(1<<40, false)
	c, _ := e.waits(v)
	require.Equal(e, taken{1 << 40, nil}, await(e, c))
	e.add(v, 2)
	e.add(v, 3)
	c, _ = e.waits(v)
	require.Equal(e, taken{5, nil}, await(e, c), "before the wait")
	c, _ = e.waits(v)
	second, _ := e.waits(v)
	e.add(v, 0)
	e.settle()
	require.Empty(e, c, "nothing is there")
	e.add(v, 7)
	require.Equal(e, taken{7, nil}, await(e, c), "behind the wait, in order")
	e.settle()
	require.Empty(e, second)
	e.add(v, 8)
	require.Equal(e, taken{8, nil}, await(e, second))
	bad, _ := e.adds(v, math.MaxUint64)
	require.ErrorIs(e, await(e, bad), syscall.EINVAL)
	_, err := l.NewEvent(math.MaxUint64, false)
	require.ErrorIs(e, err, syscall.EINVAL)
}

func eventSemaphore(e *env) {
	e.start()
	v := e.event(3, true)
	for range 3 {
		c, _ := e.waits(v)
		require.Equal(e, taken{1, nil}, await(e, c))
	}
	a, _ := e.waits(v)
	b, _ := e.waits(v)
	third, _ := e.waits(v)
	e.settle()
	require.Empty(e, a)
	e.add(v, 2)
	require.Equal(e, taken{1, nil}, await(e, a))
	require.Equal(e, taken{1, nil}, await(e, b))
	e.settle()
	require.Empty(e, third)
	e.add(v, 1)
	require.Equal(e, taken{1, nil}, await(e, third))
}

func eventCancel(e *env) {
	l := e.start()
	v := e.event(0, false)
	for range 20 {
		c, t := e.waits(v)
		e.settle()
		require.True(e, l.Cancel(t))
		require.Equal(e, taken{0, proactor.ErrCanceled}, await(e, c))
	}
	e.add(v, 9)
	c, _ := e.waits(v)
	require.Equal(e, taken{9, nil}, await(e, c))
}

func eventOverflow(e *env) {
	l := e.start()
	for _, n := range []uint64{1, 2, 1000} { // with room for nothing, and for less than that
		v := e.event(math.MaxUint64-1-(n-1), false)
		full, _ := e.adds(v, n)
		other, t := e.adds(v, n)
		e.settle()
		require.Empty(e, full)
		require.True(e, l.Cancel(t))
		require.ErrorIs(e, await(e, other), proactor.ErrCanceled)
		before, begin := e.stats().Turns, time.Now()
		_, err := e.do(func(o *op.Op) *op.Op { return o.Timeout(30 * time.Millisecond) })
		require.NoError(e, err)
		tries := uint64(time.Since(begin) / (2 * time.Millisecond))
		require.Less(e, e.stats().Turns-before, 100+8*tries, "it doesn't spin")
		c, _ := e.waits(v)
		require.Equal(e, taken{math.MaxUint64 - n, nil}, await(e, c))
		require.NoError(e, await(e, full))
		c, _ = e.waits(v)
		require.Equal(e, taken{n, nil}, await(e, c))
		e.add(v, math.MaxUint64-1)
		full, t = e.adds(v, n)
		e.settle()
		require.True(e, l.Cancel(t))
		require.ErrorIs(e, await(e, full), proactor.ErrCanceled)
		c, _ = e.waits(v)
		require.Equal(e, taken{math.MaxUint64 - 1, nil}, await(e, c), "what was cancelled adds nothing")
	}
}

func eventClose(e *env) {
	l := e.start()
	v := e.event(0, false)
	c, _ := e.waits(v)
	require.NoError(e, plain(e, v.Close))
	require.Equal(e, taken{0, net.ErrClosed}, await(e, c))
	_, err := v.Wait(nil)
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = v.Add(1, nil)
	require.ErrorIs(e, err, net.ErrClosed)
	full := e.event(math.MaxUint64-1, true)
	a, _ := e.adds(full, 1)
	b, _ := e.adds(full, 5)
	e.settle()
	require.NoError(e, plain(e, full.Abort))
	require.ErrorIs(e, await(e, a), net.ErrClosed)
	require.ErrorIs(e, await(e, b), net.ErrClosed)
	last := e.event(0, false)
	c, _ = e.waits(last)
	e.settle()
	require.NoError(e, l.Close())
	require.Equal(e, taken{0, net.ErrClosed}, await(e, c))
	_, err = l.NewEvent(1, false)
	require.ErrorIs(e, err, net.ErrClosed)
}

// eventShared uses a duplicate of the descriptor, as another process would.
func eventShared(e *env) {
	e.start()
	v := e.event(0, false)
	dup, err := unix.FcntlInt(uintptr(v.FD()), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	e.keep(dup)
	c, _ := e.waits(v)
	e.settle()
	_, err = unix.Write(dup, binary.NativeEndian.AppendUint64(nil, 21))
	require.NoError(e, err)
	require.Equal(e, taken{21, nil}, await(e, c))
	e.add(v, 4)
	b := make([]byte, 8)
	_, err = unix.Read(dup, b)
	require.NoError(e, err)
	require.EqualValues(e, 4, binary.NativeEndian.Uint64(b))
}

func eventGoroutines(e *env) {
	e.start()
	v := e.event(0, false)
	const goroutines, each = 4, 200
	for range goroutines {
		go func() {
			for range each {
				_, _ = v.Add(1, nil)
			}
		}()
	}
	for sum := uint64(0); sum < goroutines*each; {
		c, _ := e.waits(v)
		x := await(e, c)
		require.NoError(e, x.err)
		require.Positive(e, x.n)
		sum += x.n
		require.LessOrEqual(e, sum, uint64(goroutines*each))
	}
}

func eventAllocs(e *env) {
	if raceEnabled {
		e.Skip("the race detector allocates")
	}
	l := e.newLoop(Config{})
	e.loop = l
	v := e.event(0, false)
	left := 1
	added := func(error) { left-- }
	waited := func(uint64, error) { left-- }
	round := func() {
		left = 2
		_, _ = v.Wait(waited)
		_, _ = v.Add(5, added)
		for left > 0 {
			_, err := l.RunOnce(-1)
			require.NoError(e, err)
		}
	}
	for range 100 { // tables and queues grow once
		round()
	}
	require.Zero(e, testing.AllocsPerRun(1000, round))
	require.NoError(e, l.Close())
}
