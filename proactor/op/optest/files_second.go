//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// withSecond prepares each code that names a second handle, on two handles.
var withSecond = map[op.Code]func(o *op.Op, first, second op.Target) *op.Op{
	op.RenameAt:      func(o *op.Op, a, b op.Target) *op.Op { return o.RenameAt(a, "from", b, "to", 0) },
	op.LinkAt:        func(o *op.Op, a, b op.Target) *op.Op { return o.LinkAt(a, "from", b, "to", 0) },
	op.CopyFileRange: func(o *op.Op, a, b op.Target) *op.Op { return o.CopyFileRange(a, 0, b, 0, 1) },
	op.SendFile:      func(o *op.Op, a, b op.Target) *op.Op { return o.SendFile(a, b, 0, 1) },
}

// eachWithSecond calls f for each code that names a second handle, with two handles
// that it works on.
func eachWithSecond(e *env, f func(c op.Code, prepare func(o *op.Op, first, second op.Target) *op.Op, a, b *op.Handle)) {
	e.Helper()
	for c := op.Nop; c < op.NumCodes; c++ {
		if !c.Info().Second {
			continue
		}
		require.Contains(e, withSecond, c, "no test for %v: add one to withSecond", c)
		a, b := e.secondHandle(c), e.secondHandle(c)
		if c.Info().Line != op.NoLine {
			a, _ = e.pair()
		}
		f(c, withSecond[c], a, b)
	}
}

func (e *env) secondHandle(c op.Code) *op.Handle {
	e.Helper()
	if c.Info().Handle {
		h, _ := e.file([]byte("contents"))
		return h
	}
	dir := e.TempDir()
	require.NoError(e, os.WriteFile(filepath.Join(dir, "from"), nil, 0o600))
	return e.register(unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
}

// A close of the second handle waits for the operation as one of the first does.
func secondHolds(e *env) {
	e.startWith(Config{Workers: 1})
	eachWithSecond(e, func(c op.Code, prepare func(*op.Op, op.Target, op.Target) *op.Op, a, b *op.Handle) {
		release := e.occupy()
		defer release()
		j, closing, log := newJob(), newJob(), make(chan string, 4)
		ended := j.Done
		j.Done = func(o *op.Op) { log <- "operation"; ended(o) }
		closed := closing.Done
		closing.Done = func(o *op.Op) { log <- "close"; closed(o) }
		e.onLoop(func() { // both are taken in together
			e.put(prepare(&j.Op, a, b))
			e.put(closing.Close(b, -1))
		})
		if c.Info().Kernel == (op.Version{}) && c.Info().Way == op.ByWorker { // no ring does it by itself
			closing.stillPending(e)
			shut := false
			e.onLoop(func() { shut = b.State().Shut })
			require.False(e, shut, "its descriptor is being closed")
		}
		release()
		n, err := j.wait(e)
		require.NoError(e, err, c)
		if c == op.CopyFileRange {
			require.Equal(e, 1, n)
		}
		closing.waitFor(e, 0, nil)
		require.Equal(e, "operation", await(e, log), c)
		require.Equal(e, "close", await(e, log), c)
	})
}

// An abort of the second handle ends what waits, as one of the first does.
func secondAborted(e *env) {
	e.startWith(Config{Workers: 1})
	release := e.occupy()
	defer release()
	a, b := e.secondHandle(op.CopyFileRange), e.secondHandle(op.CopyFileRange)
	j, closing := newJob(), newJob()
	e.put(j.CopyFileRange(a, 0, b, 0, 1))
	e.put(closing.Close(b, time.Hour))
	j.stillPending(e)
	e.put((&op.Op{Done: func(*op.Op) {}}).Abort(b))
	j.waitFor(e, 0, net.ErrClosed)
	release() // the close of a file is a worker's, too
	closing.waitFor(e, 0, nil)
}

func secondRefuses(e *env) {
	l := e.start()
	foreign, err := e.another().Register(e.newSocket(unix.AF_UNIX))
	require.NoError(e, err)
	eachWithSecond(e, func(c op.Code, prepare func(*op.Op, op.Target, op.Target) *op.Op, a, b *op.Handle) {
		j := newJob()
		requirePanic(e, c.String()+" with a second handle of another", func() { _, _ = l.Submit(prepare(&j.Op, a, foreign)) })
		requirePanic(e, c.String()+" on a handle of another", func() { _, _ = l.Submit(prepare(&j.Op, foreign, a)) })
		if c.Info().Handle {
			requirePanic(e, c.String()+" without a second handle", func() { _, _ = l.Submit(prepare(&j.Op, a, nil)) })
		}
		e.abort(b)
		_, err := l.Submit(prepare(&j.Op, a, b))
		require.ErrorIs(e, err, net.ErrClosed, c)
		require.False(e, j.InFlight())
		_, err = l.Submit(prepare(&j.Op, b, a))
		require.ErrorIs(e, err, net.ErrClosed, c)
		e.abort(a) // what was refused doesn't hold it
		e.settle()
		require.Empty(e, j.got)
	})
}

// One handle of two closes while others submit: what was let in at one and refused by
// the other must not hold the first's close.
func secondRace(e *env) {
	e.start()
	for range many(300, 50) {
		a, b := e.secondHandle(op.LinkAt), e.secondHandle(op.LinkAt)
		var wg sync.WaitGroup
		first, second := newJob(), newJob()
		for range 2 {
			wg.Go(func() {
				for {
					j := newJob()
					if _, err := e.loop.Submit(j.LinkAt(a, "none", b, "x", 0)); err != nil {
						return
					}
					_, err := j.wait(e)
					if err == nil || !isErrno(err, syscall.ENOENT) && err != net.ErrClosed {
						e.Errorf("link: %v", err)
					}
				}
			})
		}
		wg.Go(func() { _, _ = e.loop.Submit(second.Close(b, -1)) })
		wg.Go(func() { _, _ = e.loop.Submit(first.Close(a, -1)) })
		wg.Wait()
		first.waitFor(e, 0, nil)
		second.waitFor(e, 0, nil)
	}
}

func copies(e *env) {
	e.start()
	data := pattern(0, 300_000)
	src, _ := e.file(data)
	dst, path := e.file([]byte("old"))
	copied := func(to, from int64, n int) (int, error) {
		e.Helper()
		return e.do(func(o *op.Op) *op.Op { return o.CopyFileRange(dst, to, src, from, n) })
	}
	n, err := copied(1, 0, len(data))
	require.NoError(e, err)
	require.Equal(e, len(data), n)
	got, err := os.ReadFile(path)
	require.NoError(e, err)
	requireSame(e, append([]byte("o"), data...), got)
	n, err = copied(0, 100_000, 1000)
	require.NoError(e, err)
	require.Equal(e, 1000, n)
	got, err = os.ReadFile(path)
	require.NoError(e, err)
	requireSame(e, data[100_000:101_000], got[:1000])
	for _, x := range []struct {
		from  int64
		n, is int
	}{{299_990, 20, 10}, {300_000, 1, 0}, {1 << 40, 1, 0}} {
		n, err = copied(0, x.from, x.n)
		require.ErrorIs(e, err, io.EOF)
		require.Equal(e, x.is, n)
	}
	n, err = copied(0, 0, 0)
	require.NoError(e, err)
	require.Zero(e, n)
	for _, o := range []*op.Op{
		new(op.Op).CopyFileRange(dst, -1, src, 0, 1), new(op.Op).CopyFileRange(dst, 0, src, -1, 1), new(op.Op).CopyFileRange(dst, 0, src, 0, -1),
	} {
		o.Done = func(*op.Op) {}
		_, err := e.loop.Submit(o)
		require.ErrorIs(e, err, op.ErrInvalid)
	}
}

// The errors of a copy are the kernel's.
func copyErrors(e *env) {
	e.start()
	src, path := e.file(pattern(0, 1000))
	readOnly := e.openFile(path, unix.O_RDONLY)
	writeOnly := e.openFile(path, unix.O_WRONLY)
	appends := e.openFile(path, unix.O_WRONLY|unix.O_APPEND)
	dir := e.register(unix.Open(e.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	pipe, w := e.pipe(true)
	e.write(w, []byte("x"))
	other := src
	if f, err := os.CreateTemp("/dev/shm", "proactor"); err == nil { // across file systems
		e.Cleanup(func() { os.Remove(f.Name()); f.Close() })
		other = e.openFile(f.Name(), unix.O_RDWR)
	}
	for name, x := range map[string]struct{ dst, src *op.Handle }{
		"read-only": {readOnly, src}, "write-only": {src, writeOnly}, "appends": {appends, src}, "directory": {src, dir},
		"into a directory": {dir, src}, "pipe": {src, pipe}, "overlap": {src, src}, "other": {other, src},
	} {
		var from, to int64
		_, want := unix.CopyFileRange(x.src.FD(), &from, x.dst.FD(), &to, 100, 0)
		_, err := e.do(func(o *op.Op) *op.Op { return o.CopyFileRange(x.dst, 0, x.src, 0, 100) })
		require.Equal(e, want == nil, err == nil, "%s: %v, not %v", name, err, want)
		require.ErrorIs(e, err, want, name)
	}
}

// A long copy goes piece by piece: a cancel doesn't wait for all of it.
func copyPieces(e *env) {
	e.start()
	const piece = 64 << 20
	src, _ := e.file(nil)
	require.NoError(e, unix.Ftruncate(src.FD(), 4*piece)) // a hole
	dst, path := e.file(nil)
	j := newJob()
	t := e.put(j.CopyFileRange(dst, 0, src, 0, 4*piece))
	size := func() int64 {
		st, err := os.Stat(path)
		require.NoError(e, err)
		return st.Size()
	}
	for len(j.got) == 0 && size() == 0 { // until the first piece is under way
		runtime.Gosched()
	}
	var heardAt int64
	e.onLoop(func() { e.loop.Cancel(t); heardAt = size() })
	n, err := j.wait(e)
	if isErrno(err, syscall.ENOSPC) {
		e.Skip("the disk is full")
	}
	if err == nil && heardAt >= 3*piece {
		e.Skip("the copy was quicker than the cancel") // blocks that are shared
	}
	require.ErrorIs(e, err, op.ErrCanceled)
	require.Less(e, n, 4*piece) // no multiple of a piece, if a signal cut one short
	require.NotZero(e, n)
	require.EqualValues(e, size(), n)
}
