package proactor_test

import (
	"net"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestACloseWaitsForThoseWhoUseTheDescriptor(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		one, err := l.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		two, err := l.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		for _, ln := range []*proactor.Listener{one, one, two} {
			require.NoError(t, l.Use(ln.State()))
		}
		done := make(chan error, 1)
		require.NoError(t, one.Close(func(err error) { done <- err }))
		require.ErrorIs(t, l.Use(one.State()), net.ErrClosed)
		l.Unuse(one.State())
		open := func() bool {
			c := make(chan bool)
			require.NoError(t, l.Post(func() { c <- one.FD() >= 0 }))
			return got(t, c)
		}
		require.True(t, open())
		require.True(t, open(), "a turn later, too")
		require.Empty(t, done)
		l.Unuse(one.State())
		require.NoError(t, got(t, done))

		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		for l.Use(two.State()) == nil { // until the loop is closing
			l.Unuse(two.State())
			time.Sleep(time.Millisecond) // no event tells that Close has begun
		}
		require.Empty(t, closed)
		require.GreaterOrEqual(t, two.FD(), 0)
		l.Unuse(two.State())
		require.NoError(t, got(t, closed))
	})
}

func TestInsideIsTrueInCallbacksOnly(t *testing.T) {
	for _, netpoller := range []bool{false, true} {
		bothEngines(t, func(t *testing.T, l *proactor.Loop) {
			for range 100 {
				require.False(t, l.Inside())
				c := make(chan bool, 2)
				require.NoError(t, l.Post(func() {
					c <- l.Inside()
					go func() { c <- l.Inside() }()
				}))
				require.True(t, got(t, c))
				require.False(t, got(t, c))
			}
		}, proactor.WithNetpoller(netpoller))
	}
}

// A loop that waits in the netpoller sleeps, and is woken by submissions, timers and
// Close as any other.
func TestALoopInTheNetpollerIsWoken(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		c := make(chan error, 1)
		for range 100 {
			_, err := l.After(time.Millisecond, func(err error) { c <- err })
			require.NoError(t, err)
			require.NoError(t, got(t, c))
			require.NoError(t, l.Post(func() { c <- nil }))
			require.NoError(t, got(t, c))
		}
		sleeps := func() bool { // a loop that doesn't makes a turn each microsecond
			before := l.Stats().Turns
			time.Sleep(20 * time.Millisecond) // what is looked for is that nothing happens
			return l.Stats().Turns == before
		}
		require.Eventually(t, sleeps, patience, time.Millisecond)
	}, proactor.WithNetpoller(true))
}

func TestYieldSoonYieldsAfterTheCallbacks(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		c := make(chan bool)
		require.NoError(t, l.Post(func() {
			for range 10 {
				l.YieldSoon()
			}
			before := l.Stats().Yields
			require.NoError(t, l.Post(func() { c <- l.Stats().Yields > before }))
		}))
		require.True(t, got(t, c))
	})
}
