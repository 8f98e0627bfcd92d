package proactor

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Where a worker has no other processor than the loop's, it begins in the turn that its
// system call was given to it. The loop doesn't step aside for what may compute for long,
// and not where there are more processors (no delegator).
func TestAWorkerBeginsAtOnceOnOneProcessor(t *testing.T) {
	l, err := New(WithEngineName("epoll"))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	// yields is how often the loop does so in the turn that takes in what start submits,
	// and that end lets go on.
	yields := func(start func(done func()), end func()) uint64 {
		ended := false
		start(func() { ended = true })
		l.crowded = false // the machine may be busy with other things
		before := l.Stats().Yields
		_, err := l.RunOnce(0)
		require.NoError(t, err)
		n := l.Stats().Yields - before
		end()
		for end := time.Now().Add(time.Minute); !ended && time.Now().Before(end); {
			_, err := l.RunOnce(time.Second)
			require.NoError(t, err)
		}
		require.True(t, ended)
		return n
	}
	// An open of a FIFO is the worker's until there is another end: no worker is too quick.
	open := func(done func()) {
		_, err := l.Submit((&op.Op{Done: func(o *op.Op) {
			fd, err := o.Result()
			require.NoError(t, err)
			require.NoError(t, unix.Close(fd))
			done()
		}}).OpenAt(nil, fifo, os.O_RDONLY, 0))
		require.NoError(t, err)
	}
	otherEnd := func() {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	hold := make(chan struct{})
	work := func(done func()) {
		_, err := l.Go(func() { <-hold }, func(error) { done() })
		require.NoError(t, err)
	}
	letWork := func() { hold <- struct{}{} }
	_, err = l.RunOnce(0) // the loop is ours
	require.NoError(t, err)
	l.yieldEvery = math.MaxInt64 / 2 // never by the clock
	l.delegator = nil
	require.Zero(t, yields(open, otherEnd))
	l.delegator = l.engine.(op.Delegator)
	for range 3 {
		require.EqualValues(t, 1, yields(open, otherEnd))
		require.Zero(t, yields(work, letWork))
	}
}

// It is let begin before what comes next is taken in, and once in a turn.
func TestAWorkerBeginsBeforeWhatComesNext(t *testing.T) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			l, err := New(WithEngineName(engine))
			if err != nil {
				t.Skip("no such engine: ", err)
			}
			defer func() { require.NoError(t, l.Close()) }()
			_, err = l.RunOnce(0)
			require.NoError(t, err)
			asked := &asked{l: l}
			l.delegator = asked
			left, before := 0, l.stats.Submitted
			stat := func() *op.Op { return new(op.Op).Statx(nil, "/", 0, 0, &op.Statx{}) }
			nop := func() *op.Op { return new(op.Op).Nop() }
			for _, o := range []*op.Op{nop(), stat(), nop(), stat(), nop()} {
				left++
				o.Done = func(*op.Op) { left-- }
				_, err := l.Submit(o)
				require.NoError(t, err)
			}
			_, err = l.RunOnce(0)
			require.NoError(t, err)
			require.Equal(t, []question{{true, before + 2}, {false, before + 5}}, asked.all)
			for left > 0 {
				_, err = l.RunOnce(-1)
				require.NoError(t, err)
			}
		})
	}
}

type question struct {
	more      bool
	submitted uint64
}

// asked notes what it is asked, and how many operations have been taken in by then.
type asked struct {
	l   *Loop
	all []question
}

func (a *asked) LetBegin(more bool) bool {
	a.all = append(a.all, question{more, a.l.stats.Submitted})
	return false
}

// Beside neighbours that compute the loop would come back late: not there.
func TestAWorkerDoesNotBeginAtOnceInACrowd(t *testing.T) {
	l := &Loop{crowded: true, delegator: always{}}
	l.letBegin(true)
	require.Zero(t, l.stats.Yields)
}

type always struct{}

func (always) LetBegin(bool) bool { return true }

// A ring submits a lone write to a file before what comes behind it in the turn, and all
// else at once.
func TestALoneWriteIsSubmittedFirst(t *testing.T) {
	l, err := New(WithEngineName("io_uring"))
	if err != nil {
		t.Skip("no io_uring: ", err)
	}
	defer func() { require.NoError(t, l.Close()) }()
	fd, err := unix.Open(filepath.Join(t.TempDir(), "file"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	f, err := l.NewFile(fd, "file")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close(nil)) }()
	buf := make([]byte, 512)
	// submits counts the system calls of the turn that takes all in.
	submits := func(all ...*op.Op) uint64 {
		left := len(all)
		for _, o := range all {
			o.Done = func(o *op.Op) {
				_, err := o.Result()
				require.NoError(t, err)
				left--
			}
			_, err := l.Submit(o)
			require.NoError(t, err)
		}
		before := l.Stats().Engine.Enters
		_, err := l.RunOnce(0)
		require.NoError(t, err)
		n := l.Stats().Engine.Enters - before
		for end := time.Now().Add(time.Minute); left > 0 && time.Now().Before(end); {
			_, err := l.RunOnce(time.Second)
			require.NoError(t, err)
		}
		require.Zero(t, left)
		return n
	}
	write := func() *op.Op { return new(op.Op).WriteAt(f, buf, 0) }
	sync := func() *op.Op { return new(op.Op).Fdatasync(f) }
	syncAll := func() *op.Op { return new(op.Op).Fsync(f) }
	read := func() *op.Op { return new(op.Op).ReadAt(f, buf, 0) }
	nop := func() *op.Op { return new(op.Op).Nop() }
	_, err = l.RunOnce(0) // the loop is ours
	require.NoError(t, err)
	// first waits until a turn has two, if the machine was busy and the ring doesn't step
	// aside for a moment.
	first := func(all func() []*op.Op) {
		for end := time.Now().Add(time.Minute); submits(all()...) != 2; {
			require.True(t, time.Now().Before(end))
		}
	}
	type ops = []*op.Op
	l.delegator = nil // several processors
	require.EqualValues(t, 1, submits(write(), nop()))
	l.delegator = l.engine.(op.Delegator)
	for range 3 {
		first(func() ops { return ops{write(), nop()} })
		first(func() ops { return ops{nop(), sync(), nop(), nop()} })
		first(func() ops { return ops{syncAll(), nop()} })
		require.EqualValues(t, 1, submits(nop(), write()), "nothing comes behind it")
		require.EqualValues(t, 1, submits(nop(), nop()), "the last turn's is not hastened again")
		require.EqualValues(t, 1, submits(write(), write(), nop()), "one of two")
		require.EqualValues(t, 1, submits(read(), nop()))
	}
}
