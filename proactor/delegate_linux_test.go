package proactor

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

// Where a worker has no other processor than the loop's, it begins in the turn that its
// system call was given to it. The loop doesn't step aside for what may compute for long,
// beside neighbours that do, and where there are more processors (no delegator).
func TestAWorkerBeginsAtOnceOnOneProcessor(t *testing.T) {
	l, err := New(WithEngineName("epoll"))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	file, err := l.AdoptFile(f)
	require.NoError(t, err)
	// yields is how often the loop does so in the turn that takes in what start submits.
	yields := func(start func(done func())) uint64 {
		ended := false
		start(func() { ended = true })
		before := l.Stats().Yields
		_, err := l.RunOnce(0)
		require.NoError(t, err)
		n := l.Stats().Yields - before
		for end := time.Now().Add(time.Minute); !ended && time.Now().Before(end); {
			_, err := l.RunOnce(time.Second)
			require.NoError(t, err)
		}
		require.True(t, ended)
		return n
	}
	write := func(done func()) {
		_, err := l.Submit((&op.Op{Done: func(*op.Op) { done() }}).WriteAt(file, []byte("x"), 0))
		require.NoError(t, err)
	}
	work := func(done func()) {
		_, err := l.Go(func() {}, func(error) { done() })
		require.NoError(t, err)
	}
	_, err = l.RunOnce(0) // the loop is ours
	require.NoError(t, err)
	l.yieldEvery = math.MaxInt64 / 2 // never by the clock
	l.delegator = nil
	require.Zero(t, yields(write))
	l.delegator = l.engine.(op.Delegator)
	l.delegator.Delegated()
	for range 3 {
		require.EqualValues(t, 1, yields(write))
		require.Zero(t, yields(work))
	}
	l.crowded = true
	require.Zero(t, yields(write))
}
