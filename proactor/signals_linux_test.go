package proactor_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
)

// caught is what a callback of Signals was given.
type caught struct {
	sig os.Signal
	err error
}

func watchSignals(t *testing.T, l *proactor.Loop, sigs ...os.Signal) (*proactor.SignalWatch, chan caught) {
	t.Helper()
	to := make(chan caught, 1000)
	w, err := l.Signals(func(s os.Signal, err error) { to <- caught{s, err} }, sigs...)
	require.NoError(t, err)
	return w, to
}

func raise(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, syscall.Kill(os.Getpid(), s))
}

func TestSignalsAreCallbacksOfTheLoop(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		w, to := watchSignals(t, l, syscall.SIGUSR1, syscall.SIGUSR2)
		_, other := watchSignals(t, l, syscall.SIGUSR2)
		for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGUSR1, syscall.SIGUSR2} {
			raise(t, s)
			require.Equal(t, caught{s, nil}, got(t, to))
			if s == syscall.SIGUSR2 {
				require.Equal(t, caught{s, nil}, got(t, other))
			}
		}
		w.Stop()
		require.Equal(t, caught{nil, proactor.ErrCanceled}, got(t, to))
		w.Stop()
		raise(t, syscall.SIGUSR2)
		require.Equal(t, caught{syscall.SIGUSR2, nil}, got(t, other))
		require.Empty(t, to, "nothing comes behind the end")
	})
}

func TestASignalsCallbackMayStopIt(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		var w *proactor.SignalWatch
		to := make(chan caught, 10)
		ready := make(chan struct{})
		w, err := l.Signals(func(s os.Signal, err error) {
			<-ready
			w.Stop()
			to <- caught{s, err}
		}, syscall.SIGUSR1)
		require.NoError(t, err)
		close(ready)
		raise(t, syscall.SIGUSR1)
		require.Equal(t, caught{syscall.SIGUSR1, nil}, got(t, to))
		require.Equal(t, caught{nil, proactor.ErrCanceled}, got(t, to))
	})
}

// A signal that comes again and again while the loop is busy is joined into few.
func TestSignalsOfABusyLoopAreJoined(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		_, to := watchSignals(t, l, syscall.SIGUSR1, syscall.SIGUSR2)
		busy, free := make(chan bool), make(chan bool)
		require.NoError(t, l.Post(func() { close(busy); <-free }))
		got(t, busy)
		seen := make(chan os.Signal, 1)
		signal.Notify(seen, syscall.SIGUSR1)
		defer signal.Stop(seen)
		const n = 200
		for range n {
			raise(t, syscall.SIGUSR1)
			got(t, seen) // or the kernel would join them
		}
		close(free)
		raise(t, syscall.SIGUSR2)
		count := 0
		for x := got(t, to); x.sig != syscall.SIGUSR2; x = got(t, to) {
			require.Equal(t, caught{syscall.SIGUSR1, nil}, x)
			count++
		}
		require.Positive(t, count)
		require.LessOrEqual(t, count, 20, "what waits has a bound")
	})
}

func TestSignalsEndWithTheLoop(t *testing.T) {
	l := newLoop(t)
	w, to := watchSignals(t, l, syscall.SIGUSR1)
	require.NoError(t, l.Close())
	require.Equal(t, caught{nil, proactor.ErrClosed}, got(t, to))
	w.Stop()
	_, err := l.Signals(func(os.Signal, error) {}, syscall.SIGUSR1)
	require.ErrorIs(t, err, proactor.ErrClosed)
	require.Panics(t, func() { _, _ = l.Signals(func(os.Signal, error) {}) })
}

const signalVariable = "PROACTOR_TEST_SIGNAL"

// After Stop, and after the close of the loop, a signal has the effect that Go gives it: SIGTERM
// kills, so another process tries. (SIGHUP is ignored under nohup, SIGINT behind a &.)
func TestSignalsAreNotCaughtAfterTheEnd(t *testing.T) {
	for _, how := range []string{"stop", "close", "refused"} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestASignalKills$", "-test.count=1")
		child.Env = append(os.Environ(), signalVariable+"="+how)
		out, err := child.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, string(out))
		s := exit.Sys().(syscall.WaitStatus)
		require.True(t, s.Signaled(), string(out))
		require.Equal(t, syscall.SIGTERM, s.Signal(), string(out))
	}
}

// TestASignalKills is the other process of TestSignalsAreNotCaughtAfterTheEnd.
func TestASignalKills(t *testing.T) {
	how := os.Getenv(signalVariable)
	if how == "" {
		t.Skip("it kills its process: TestSignalsAreNotCaughtAfterTheEnd runs it in another")
	}
	l, err := proactor.New()
	require.NoError(t, err)
	go l.Run(context.Background())
	if how == "refused" {
		require.NoError(t, l.Close())
		_, err := l.Signals(func(os.Signal, error) {}, syscall.SIGTERM)
		require.ErrorIs(t, err, proactor.ErrClosed)
	} else {
		w, to := watchSignals(t, l, syscall.SIGTERM)
		raise(t, syscall.SIGTERM)
		require.Equal(t, syscall.SIGTERM, got(t, to).sig)
		if how == "stop" {
			w.Stop()
			require.Error(t, got(t, to).err)
		} else {
			require.NoError(t, l.Close())
		}
	}
	raise(t, syscall.SIGTERM)
	select {} // it is on its way
}
