package proactor_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// loopPairs calls f with two loops, each pair of engines there is.
func loopPairs(t *testing.T, f func(t *testing.T, a, b *proactor.Loop)) {
	for _, names := range [][2]string{{"io_uring", "io_uring"}, {"io_uring", "epoll"}, {"epoll", "io_uring"}, {"epoll", "epoll"}} {
		t.Run(names[0]+" to "+names[1], func(t *testing.T) {
			f(t, runLoop(t, loopOn(t, names[0])), runLoop(t, loopOn(t, names[1])))
		})
	}
	for name, o := range map[string]ring.Options{
		"without newer flags": {MaskFlags: 1<<12 | 1<<13 | 1<<16}, // SINGLE_ISSUER, DEFER_TASKRUN, NO_SQARRAY
		"without messages":    {MaskCodes: []op.Code{op.None}},
	} {
		t.Run(name, func(t *testing.T) {
			f(t, runLoop(t, loopOf(t, o)), runLoop(t, loopOf(t, o)))
		})
	}
}

// loopOf makes a loop on a ring of these options.
func loopOf(t *testing.T, o ring.Options) *proactor.Loop {
	t.Helper()
	o.Entries, o.Workers = max(o.Entries, 8), 2
	e, err := ring.New(o)
	if err != nil {
		t.Skip("no io_uring here: ", err)
	}
	l, err := proactor.New(proactor.WithEngine(e))
	require.NoError(t, err)
	return l
}

// runLoop runs the loop until the test ends.
func runLoop(t *testing.T, l *proactor.Loop) *proactor.Loop {
	t.Helper()
	ran := make(chan error, 1)
	go func() { ran <- l.Run(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		require.NoError(t, <-ran)
	})
	running := make(chan bool)
	require.NoError(t, l.Post(func() { close(running) }))
	got(t, running)
	return l
}

// onLoop runs f as a callback of the loop and waits for it.
func onLoop(t *testing.T, l *proactor.Loop, f func()) {
	t.Helper()
	done := make(chan bool)
	require.NoError(t, l.Post(func() { f(); close(done) }))
	got(t, done)
}

// Each post finds the other loop asleep or going to sleep: a wake-up that is lost
// ends the game.
func TestPostsBetweenLoopsAreNeverLost(t *testing.T) {
	loopPairs(t, func(t *testing.T, a, b *proactor.Loop) {
		const rounds = 3000
		done := make(chan int, 1)
		n := 0
		var ping, pong func()
		ping = func() {
			if n++; n == rounds {
				done <- n
				return
			}
			_ = a.PostTo(b, pong)
		}
		pong = func() { _ = b.PostTo(a, ping) }
		onLoop(t, a, ping)
		require.Equal(t, rounds, got(t, done))
	})
}

func TestPostsOfOneLoopToAnotherKeepTheirOrder(t *testing.T) {
	loopPairs(t, func(t *testing.T, a, b *proactor.Loop) {
		for range 50 {
			var seen []int
			done := make(chan bool)
			onLoop(t, a, func() {
				for i := range 100 {
					require.NoError(t, a.PostTo(b, func() { seen = append(seen, i) }))
				}
				require.NoError(t, a.PostTo(b, func() { close(done) }))
				require.NoError(t, a.PostTo(a, func() {}))
			})
			got(t, done)
			require.Len(t, seen, 100)
			for i, x := range seen {
				require.Equal(t, i, x)
			}
		}
	})
}

// A callback that has posted may wait for the other loop: that one is woken by who
// else wants it.
func TestAWakeUpThatIsNotSentYetHoldsNobodyUp(t *testing.T) {
	loopPairs(t, func(t *testing.T, a, b *proactor.Loop) {
		sleeps(t, b)
		ran := make(chan bool, 1)
		onLoop(t, a, func() {
			require.NoError(t, a.PostTo(b, func() { ran <- true }))
			require.NoError(t, b.Close()) // waits for its end
		})
		require.True(t, got(t, ran))
		onLoop(t, a, func() {
			require.ErrorIs(t, a.PostTo(b, func() {}), proactor.ErrClosed)
		})
	})
}

// sleeps waits until a loop has slept, and most likely does again.
func sleeps(t *testing.T, l *proactor.Loop) {
	t.Helper()
	require.Eventually(t, func() bool {
		onLoop(t, l, func() {})
		return l.Stats().Engine.Waits > 1
	}, patience, time.Millisecond)
}

// The other loop closes at any time while it is posted to: no post that was accepted is
// lost, and no descriptor is.
func TestPostsToALoopThatCloses(t *testing.T) {
	before := optest.Descriptors()
	t.Run("loops", func(t *testing.T) {
		loopPairs(t, func(t *testing.T, a, _ *proactor.Loop) {
			name, _ := a.Engine()
			for range 40 {
				b, err := proactor.New(proactor.WithEngineName(name), proactor.WithEntries(8))
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() { ended <- b.Run(context.Background()) }()
				onLoop(t, b, func() {})
				var accepted, ran atomic.Int32
				stop := make(chan bool)
				var post func()
				post = func() {
					if a.PostTo(b, func() { ran.Add(1) }) != nil {
						close(stop)
						return
					}
					accepted.Add(1)
					_ = a.Post(post)
				}
				require.NoError(t, a.Post(post))
				require.NoError(t, b.Close())
				require.NoError(t, got(t, ended))
				got(t, stop)
				require.Equal(t, accepted.Load(), ran.Load())
			}
		})
	})
	sameFDs(t, before)
}

// What the sender has not submitted when it ends wakes nevertheless.
func TestAWakeUpIsNotLostWithItsSender(t *testing.T) {
	for _, how := range []string{"close", "panic"} {
		t.Run(how, func(t *testing.T) {
			b := runLoop(t, loopOn(t, "io_uring"))
			for range 20 {
				a := loopOn(t, "io_uring")
				ran := make(chan bool, 1)
				require.NoError(t, a.Post(func() {
					_ = a.PostTo(b, func() { ran <- true })
					if how == "panic" {
						panic("on purpose")
					}
					_ = a.Close()
				}))
				func() {
					defer func() { _ = recover() }()
					_ = a.Run(context.Background())
				}()
				require.True(t, got(t, ran))
				require.NoError(t, a.Close())
			}
		})
	}
}

// A small submission queue that is full, and many loops.
func TestPostsToManyLoopsThroughASmallRing(t *testing.T) {
	a := runLoop(t, loopOf(t, ring.Options{Entries: 8}))
	const n = 40
	done := make(chan int, n)
	var loops []*proactor.Loop
	for range n {
		loops = append(loops, runLoop(t, loopOf(t, ring.Options{Entries: 8})))
	}
	for range 10 {
		onLoop(t, a, func() {
			for i, to := range loops {
				require.NoError(t, a.PostTo(to, func() { done <- i }))
			}
		})
		for range n {
			got(t, done)
		}
	}
}

// Outside of callbacks, and between turns, it is a Post.
func TestPostToFromElsewhere(t *testing.T) {
	loopPairs(t, func(t *testing.T, a, b *proactor.Loop) {
		for range 20 {
			done := make(chan bool)
			require.NoError(t, a.PostTo(b, func() { close(done) }))
			got(t, done)
		}
		turned, err := proactor.New()
		require.NoError(t, err)
		done := make(chan bool, 1)
		_, err = turned.RunOnce(0)
		require.NoError(t, err)
		require.NoError(t, turned.PostTo(b, func() { done <- true }))
		got(t, done)
		require.NoError(t, turned.Post(func() { _ = turned.PostTo(b, func() { done <- true }) }))
		_, err = turned.RunOnce(0)
		require.NoError(t, err)
		got(t, done)
		require.NoError(t, turned.Close())
	})
	require.Panics(t, func() { l := newLoop(t); _ = l.PostTo(l, nil) })
}

// BenchmarkPostPingPong posts from callbacks of one loop to another that sleeps, and
// back.
func BenchmarkPostPingPong(b *testing.B) {
	for _, how := range []string{"Post", "PostTo"} {
		for _, name := range []string{"io_uring", "epoll"} {
			b.Run(fmt.Sprint(how, "/", name), func(b *testing.B) {
				var loops [2]*proactor.Loop
				for i := range loops {
					l, err := proactor.New(proactor.WithEngineName(name))
					if err != nil {
						b.Skip(err)
					}
					go l.Run(context.Background())
					defer l.Close()
					loops[i] = l
				}
				x, y := loops[0], loops[1]
				post := func(_, to *proactor.Loop, f func()) { _ = to.Post(f) }
				if how == "PostTo" {
					post = func(from, to *proactor.Loop, f func()) { _ = from.PostTo(to, f) }
				}
				left, done := b.N, make(chan bool)
				var ping, pong func()
				ping = func() {
					if left--; left < 0 {
						close(done)
						return
					}
					post(x, y, pong)
				}
				pong = func() { post(y, x, ping) }
				b.ReportAllocs()
				before := cpuTime()
				b.ResetTimer()
				_ = x.Post(ping)
				<-done
				b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpuTime is what the process has used, in ns.
func cpuTime() int64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
