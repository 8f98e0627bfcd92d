package proactor_test

import (
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

func TestATickerKeepsTime(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		const every = 5 * time.Millisecond
		ticks := make(chan time.Duration, 1000)
		last := make(chan error, 1)
		begin := time.Now()
		var k *proactor.Ticker
		n := 0
		ready := make(chan bool)
		k, err := l.Every(every, func(err error) {
			if err != nil {
				last <- err
				return
			}
			<-ready
			ticks <- time.Since(begin)
			if n++; n == 1 {
				time.Sleep(4 * every) // a callback that takes so long misses some
			}
			if n == 10 {
				k.Stop()
			}
		})
		require.NoError(t, err)
		close(ready)
		require.ErrorIs(t, got(t, last), proactor.ErrCanceled)
		require.Len(t, ticks, 10)
		before := time.Duration(0)
		for i := range 10 {
			at := <-ticks
			require.GreaterOrEqual(t, at, time.Duration(i+1)*every, "never early")
			require.Greater(t, at, before)
			before = at
		}
		require.GreaterOrEqual(t, before, 13*every, "what was missed is left out")
		require.Empty(t, last)
	})
}

func TestATickerEndsWithItsLoop(t *testing.T) {
	l := newLoop(t)
	last := make(chan error, 2)
	k, err := l.Every(time.Hour, func(err error) { last <- err })
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, got(t, last), proactor.ErrClosed)
	k.Stop()
	require.Empty(t, last)
	_, err = l.Every(time.Hour, func(error) {})
	require.ErrorIs(t, err, proactor.ErrClosed)
}

func TestAtWaitsForTheWallClock(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		before := optest.Descriptors()
		done := make(chan error, 1)
		for _, d := range []time.Duration{-time.Hour, 0, 30 * time.Millisecond} {
			when := time.Now().Round(0).Add(d)
			_, err := l.At(when, func(err error) { done <- err })
			require.NoError(t, err)
			require.NoError(t, got(t, done))
			require.False(t, time.Now().Round(0).Before(when))
		}
		k, err := l.At(time.Now().Add(time.Hour), func(err error) { done <- err })
		require.NoError(t, err)
		require.True(t, k.Stop())
		require.ErrorIs(t, got(t, done), proactor.ErrCanceled)
		_, err = l.At(time.Unix(0, 0), func(err error) { done <- err })
		require.NoError(t, err)
		require.NoError(t, got(t, done))
		handlesLeft(t, l, 0)
		sameFDs(t, before)
	})
}
