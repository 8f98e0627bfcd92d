//go:build linux

package optest

import (
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// does is a closure verb with its arguments, as a test calls it.
type does = func(func(error)) (op.Ticket, error)

func ofCount(f func(func(int, error)) (op.Ticket, error)) does {
	return func(done func(error)) (op.Ticket, error) { return f(func(_ int, err error) { done(err) }) }
}

func ofInfo(f func(func(*proactor.FileInfo, error)) (op.Ticket, error)) does {
	return func(done func(error)) (op.Ticket, error) {
		return f(func(_ *proactor.FileInfo, err error) { done(err) })
	}
}

func second[T any](_ T, err error) error { return err }

// Type, Op, paths and errno are what the function of package os gives.
func fileOSErrors(e *env) {
	l := e.start()
	dir := e.TempDir()
	none, file := filepath.Join(dir, "none"), filepath.Join(dir, "file")
	require.NoError(e, os.WriteFile(file, []byte("x"), 0o600))
	for _, x := range []struct {
		want error
		do   does
	}{
		{second(os.Open(none)), e.opening(none, os.O_RDONLY)},
		{second(os.OpenFile(dir, os.O_RDWR, 0)), e.opening(dir, os.O_RDWR)},
		{second(os.Stat(none)), ofInfo(func(d func(*proactor.FileInfo, error)) (op.Ticket, error) { return l.Stat(none, d) })},
		{second(os.Lstat(none)), ofInfo(func(d func(*proactor.FileInfo, error)) (op.Ticket, error) { return l.Lstat(none, d) })},
		{os.Remove(none), func(d func(error)) (op.Ticket, error) { return l.Remove(none, d) }},
		{os.Remove(dir), func(d func(error)) (op.Ticket, error) { return l.Remove(dir, d) }},
		{os.Mkdir(file, 0o700), func(d func(error)) (op.Ticket, error) { return l.Mkdir(file, 0o700, d) }},
		{os.Rename(none, file), func(d func(error)) (op.Ticket, error) { return l.Rename(none, file, d) }},
		{os.Rename(file, ""), func(d func(error)) (op.Ticket, error) { return l.Rename(file, "", d) }},
		{os.Link(none, file), func(d func(error)) (op.Ticket, error) { return l.Link(none, file, d) }},
		{os.Symlink(none, file), func(d func(error)) (op.Ticket, error) { return l.Symlink(none, file, d) }},
	} {
		require.Error(e, x.want)
		require.Equal(e, x.want, ends(e, x.do))
	}
	e.sameFileErrors(file, os.O_RDONLY)
	e.sameFileErrors(file, os.O_WRONLY)
	e.sameFileErrors(dir, os.O_RDONLY)
}

// sameFileErrors compares the methods of a File with those of an os.File.
func (e *env) sameFileErrors(path string, flags int) {
	e.Helper()
	theirs, err := os.OpenFile(path, flags, 0)
	require.NoError(e, err)
	defer theirs.Close()
	ours := openFile(e, path, flags)
	b := make([]byte, 1)
	_, err = theirs.ReadAt(b, 0)
	require.Equal(e, err, ends(e, ofCount(func(d func(int, error)) (op.Ticket, error) { return ours.ReadAt(b, 0, d) })))
	_, err = theirs.WriteAt(b, 0)
	require.Equal(e, err, ends(e, ofCount(func(d func(int, error)) (op.Ticket, error) { return ours.WriteAt(b, 0, d) })))
	if flags == os.O_RDONLY {
		require.Error(e, err)
	}
	err = theirs.Truncate(1)
	require.Equal(e, err, ends(e, func(d func(error)) (op.Ticket, error) { return ours.Truncate(1, d) }))
	require.NoError(e, plain(e, ours.Close))
}

func (e *env) opening(path string, flags int) does {
	return func(done func(error)) (op.Ticket, error) {
		return e.loop.OpenFile(path, flags, 0, func(_ *proactor.File, err error) { done(err) })
	}
}

// occupy keeps the loop's only worker busy until the test calls what it returns: what
// goes by a worker has not begun until then.
func (e *env) occupy() (release func()) {
	e.Helper()
	begun, done := make(chan struct{}), make(chan struct{})
	e.put((&op.Op{Done: func(*op.Op) {}}).Work(func() { close(begun); <-done }))
	await(e, begun)
	return sync.OnceFunc(func() { close(done) })
}

// cancelled is what an operation ends with that no ring executes, and that is cancelled
// before a worker has begun it.
func (e *env) cancelled(do does) error {
	e.Helper()
	release := e.occupy()
	defer release()
	c := make(chan error, 1)
	t, err := do(func(err error) { c <- err })
	require.NoError(e, err)
	require.True(e, e.loop.Cancel(t))
	return await(e, c)
}

func fileOwnErrors(e *env) {
	e.startWith(Config{Workers: 1})
	path := filepath.Join(e.TempDir(), "file")
	f := openFile(e, path, os.O_RDWR|os.O_CREATE)
	b := make([]byte, 1)
	reading := func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(b, 0, d) }
	require.True(e, ends(e, ofCount(reading)) == io.EOF, "the end of a file comes bare")

	listing := func(d func(error)) (op.Ticket, error) {
		return e.loop.Listxattr(path, func(_ []string, err error) { d(err) })
	}
	require.Equal(e, &fs.PathError{Op: "listxattr", Path: path, Err: op.ErrCanceled}, e.cancelled(listing))

	var pipe [2]int
	require.NoError(e, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	e.keep(pipe[1])
	p, err := e.loop.NewFile(pipe[0], "pipe")
	require.NoError(e, err)
	require.Equal(e, &fs.PathError{Op: "sync", Path: "pipe", Err: syscall.EINVAL},
		ends(e, func(d func(error)) (op.Ticket, error) { return p.Sync(false, d) }))

	require.NoError(e, plain(e, f.Close))
	for verb, err := range map[string]error{
		"read": second(f.ReadAt(b, 0, nil)), "write": second(f.WriteAt(b, 0, nil)), "sync": second(f.Sync(true, nil)),
		"truncate": second(f.Truncate(0, nil)), "allocate": second(f.Allocate(0, 1, nil)), "stat": second(f.Size()),
		"close": f.Close(nil),
	} {
		require.Equal(e, &fs.PathError{Op: verb, Path: path, Err: net.ErrClosed}, err)
	}
}

// A successful call through a closure takes its memory from the free list.
func fileClosureAllocs(e *env) {
	if raceEnabled {
		e.Skip("the race detector allocates")
	}
	e.loop = e.newLoop(Config{})
	_, path := e.file([]byte("contents"))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(e, err)
	f, err := e.loop.NewFile(fd, path)
	require.NoError(e, err)
	var ended int
	var last error
	done := func(_ int, err error) { ended++; last = err }
	buf := make([]byte, 8)
	round := func() {
		before := ended
		if _, err := f.ReadAt(buf, 0, done); err != nil {
			e.Fatal(err)
		}
		for ended == before {
			if _, err := e.loop.RunOnce(-1); err != nil {
				e.Fatal(err)
			}
		}
	}
	for range 100 { // tables and queues grow once
		round()
	}
	require.Zero(e, testing.AllocsPerRun(1000, round))
	require.NoError(e, last)
}
