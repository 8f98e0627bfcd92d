//go:build linux

package optest

import (
	"context"
	"errors"
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

// A turn inside a turn would run callbacks inside a callback.
func runOnceInCallback(e *env) {
	l := e.start()
	var err error
	e.onLoop(func() { _, err = l.RunOnce(0) })
	require.ErrorIs(e, err, proactor.ErrRunning)
}

func runOnceZero(e *env) {
	l := e.newLoop(Config{})
	n, err := l.RunOnce(0)
	require.NoError(e, err)
	require.Zero(e, n)
	ran := false
	require.NoError(e, l.Post(func() { ran = true }))
	n, err = l.RunOnce(0)
	require.NoError(e, err)
	require.Equal(e, 1, n)
	require.True(e, ran)
}

func runOnceWaits(e *env) {
	const d = 20 * time.Millisecond
	l := e.newLoop(Config{})
	begin := time.Now()
	n, err := l.RunOnce(d)
	require.NoError(e, err)
	require.Zero(e, n)
	require.GreaterOrEqual(e, time.Since(begin), d, "it didn't wait")
	expired := false
	_, err = l.After(d, func(error) { expired = true })
	require.NoError(e, err)
	begin = time.Now()
	for !expired { // a timer ends a wait without limit
		_, err := l.RunOnce(-1)
		require.NoError(e, err)
	}
	require.GreaterOrEqual(e, time.Since(begin), d)
}

func runOnceUnlimited(e *env) {
	e.loop = e.newLoop(Config{})
	h, peer := e.rawPair(unix.SOCK_STREAM)
	c := newCensus(3)
	e.submit(c.op(0).Recv(h, make([]byte, 1)))
	_, err := e.loop.RunOnce(0)
	require.NoError(e, err)
	go func() {
		unix.Write(peer, []byte("x")) // a completion
		_, err := e.loop.Submit(c.op(1).Nop())
		if err == nil {
			err = e.loop.Post(func() { c.note(2, 0, nil) })
		}
		require.NoError(e, err)
	}()
	for c.left > 0 {
		_, err := e.loop.RunOnce(-1)
		require.NoError(e, err)
	}
	c.once(e)
}

func runOnceOwner(e *env) {
	l := e.newLoop(Config{})
	_, err := l.RunOnce(0)
	require.NoError(e, err)
	elsewhere := make(chan error, 2)
	go func() {
		_, err := l.RunOnce(0)
		elsewhere <- err
		elsewhere <- l.Run(context.Background())
	}()
	require.ErrorIs(e, await(e, elsewhere), proactor.ErrRunning)
	require.ErrorIs(e, await(e, elsewhere), proactor.ErrRunning)
}

func runOnceClose(e *env) {
	e.loop = e.newLoop(Config{})
	c, links := everythingPending(e)
	_, err := e.loop.RunOnce(0)
	require.NoError(e, err)
	require.NoError(e, e.loop.Close())
	c.once(e)
	e.closed(links...)
	_, err = e.loop.RunOnce(0)
	require.ErrorIs(e, err, net.ErrClosed)
}

func runOnceCloseFromCallback(e *env) {
	e.loop = e.newLoop(Config{})
	c, links := everythingPending(e)
	require.NoError(e, e.loop.Post(func() { require.NoError(e, e.loop.Close()) }))
	e.untilClosed(e.loop)
	c.once(e)
	e.closed(links...)
}

// untilClosed turns the loop until RunOnce says that it is closed.
func (e *env) untilClosed(l *proactor.Loop) {
	e.Helper()
	for end := time.Now().Add(patience); ; {
		_, err := l.RunOnce(time.Second)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		require.NoError(e, err)
		require.True(e, time.Now().Before(end), "the loop doesn't end")
	}
}

// Who turns the loop with RunOnce must go on until it is closed; a Close from
// elsewhere waits for that.
func runOnceCloseElsewhere(e *env) {
	e.loop = e.newLoop(Config{})
	c, links := everythingPending(e)
	_, err := e.loop.RunOnce(0)
	require.NoError(e, err)
	closed := make(chan error, 1)
	go func() { closed <- e.loop.Close() }()
	e.untilClosed(e.loop)
	require.NoError(e, await(e, closed))
	c.once(e)
	e.closed(links...)
}

// storm calls f from many goroutines until each of them is refused, closes the
// loop meanwhile, and returns how many calls were accepted.
func storm(e *env, l *proactor.Loop, f func() error) int64 {
	var accepted, refused atomic.Int64
	var all sync.WaitGroup
	begun := make(chan struct{})
	var once sync.Once
	for range 8 {
		all.Go(func() {
			for {
				err := f()
				switch {
				case err == nil:
					if accepted.Add(1) > 100 {
						once.Do(func() { close(begun) })
					}
				case errors.Is(err, op.ErrFull):
					runtime.Gosched()
				default:
					require.ErrorIs(e, err, net.ErrClosed)
					refused.Add(1)
					return
				}
			}
		})
	}
	await(e, begun)
	require.NoError(e, l.Close())
	all.Wait()
	require.EqualValues(e, 8, refused.Load())
	return accepted.Load()
}

func submitRacesClose(e *env) {
	for range 10 {
		l, ran := e.again()
		h, _ := e.rawPair(unix.SOCK_STREAM)
		count := 0
		var flying atomic.Int64 // bounded, or the test lasts as long as its backlog
		done := func(o *op.Op) {
			flying.Add(-1)
			count++
		}
		accepted := storm(e, l, func() error {
			n := flying.Add(1)
			o := (&op.Op{Done: done}).Nop()
			if n%8 == 0 {
				o.Recv(h, make([]byte, 1))
			}
			err := op.ErrFull
			if n < 1000 {
				_, err = l.Submit(o)
			}
			if err != nil {
				flying.Add(-1)
			}
			return err
		})
		require.EqualValues(e, accepted, count)
		require.NoError(e, await(e, ran))
	}
}

func postRacesClose(e *env) {
	for range 10 {
		l, ran := e.again(proactor.WithMaxPosts(1000))
		count := 0
		accepted := storm(e, l, func() error { return l.Post(func() { count++ }) })
		require.EqualValues(e, accepted, count)
		require.NoError(e, await(e, ran))
		require.Zero(e, l.Stats().Posts)
	}
}
