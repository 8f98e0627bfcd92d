//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func descriptorFlags(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	client, server := connects(e, ln, "tcp4", ln.Addr().String())
	f := openFile(e, filepath.Join(e.TempDir(), "new"), unix.O_RDWR|unix.O_CREAT)
	for name, fd := range map[string]int{"listener": ln.FD(), "client": client.FD(), "server": server.FD(), "file": f.FD()} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(e, err)
		require.NotZero(e, flags&unix.FD_CLOEXEC, "%s is not close-on-exec", name)
	}
	for _, c := range []*proactor.Conn{client, server} {
		v, err := unix.GetsockoptInt(c.FD(), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		require.NoError(e, err)
		require.Equal(e, 1, v, "TCP_NODELAY")
	}
}

// openFile opens a file that must open.
func openFile(e *env, path string, flags int) (f *proactor.File) {
	e.Helper()
	require.NoError(e, plain(e, func(done func(error)) error {
		_, err := e.loop.OpenFile(path, flags, 0o600, func(g *proactor.File, err error) {
			f = g
			done(err)
		})
		return err
	}))
	return f
}

func fileRoundTrip(e *env) {
	e.start()
	path := filepath.Join(e.TempDir(), "new")
	f := openFile(e, path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	require.Equal(e, path, f.Name())
	n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteAt([]byte("hello"), 3, d) })
	require.NoError(e, err)
	require.Equal(e, 5, n)
	size, err := f.Size()
	require.NoError(e, err)
	require.EqualValues(e, 8, size)
	for _, dataOnly := range []bool{false, true} {
		require.NoError(e, plain(e, func(done func(error)) error {
			_, err := f.Sync(dataOnly, done)
			return err
		}))
	}
	b := make([]byte, 16)
	n, err = counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(b, 0, d) })
	require.Equal(e, io.EOF, err)
	require.Equal(e, "\x00\x00\x00hello", string(b[:n]))
	_, err = f.ReadAt(b, -1, nil)
	require.ErrorIs(e, err, op.ErrInvalid)
	require.NoError(e, plain(e, f.Close))
	got, err := os.ReadFile(path)
	require.NoError(e, err)
	require.Equal(e, "\x00\x00\x00hello", string(got))
	info, err := os.Stat(path)
	require.NoError(e, err)
	require.Zero(e, info.Mode().Perm()&^0o600)
	e.inFlight(0)
	require.Zero(e, e.loop.Stats().Calls, "a refused call is free again")
}

func fileMissing(e *env) {
	l := e.start()
	dir := e.TempDir()
	open := func(path string, flags int) error {
		return plain(e, func(done func(error)) error {
			_, err := l.OpenFile(path, flags, 0o600, func(f *proactor.File, err error) {
				require.Nil(e, f)
				done(err)
			})
			return err
		})
	}
	require.ErrorIs(e, open(filepath.Join(dir, "none"), os.O_RDONLY), os.ErrNotExist)
	require.ErrorIs(e, open(dir, os.O_RDWR), syscall.EISDIR)
	require.ErrorIs(e, open(dir, os.O_RDWR|os.O_CREATE|os.O_EXCL), os.ErrExist)
	_, err := l.OpenFile("a\x00b", os.O_RDONLY, 0, func(*proactor.File, error) {})
	require.ErrorIs(e, err, op.ErrInvalid)
}

// A file's Close lets what was submitted before it complete.
func fileClosed(e *env) {
	e.start()
	f := openFile(e, filepath.Join(e.TempDir(), "new"), os.O_RDWR|os.O_CREATE)
	at := link(f.FD())
	var log []string
	for range 10 {
		_, err := f.WriteAt(make([]byte, 1<<16), 0, func(n int, err error) {
			require.NoError(e, err)
			log = append(log, "write")
		})
		require.NoError(e, err)
	}
	require.NoError(e, plain(e, func(done func(error)) error {
		return f.Close(func(err error) {
			log = append(log, "close")
			done(err)
		})
	}))
	require.Len(e, log, 11)
	require.Equal(e, "close", log[10])
	e.closed(at)
	_, err := f.ReadAt(make([]byte, 1), 0, nil)
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = f.Sync(true, nil)
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = f.Size()
	require.Error(e, err)
	require.ErrorIs(e, f.Close(nil), net.ErrClosed)
}

func timers(e *env) {
	l := e.start()
	const d = 5 * time.Millisecond
	begin := time.Now()
	require.NoError(e, plain(e, func(done func(error)) error {
		_, err := l.After(d, done)
		return err
	}))
	require.GreaterOrEqual(e, time.Since(begin), d, "it ran early")
	ended := make(chan error, 1)
	t, err := l.After(time.Hour, func(err error) { ended <- err })
	require.NoError(e, err)
	require.True(e, t.Stop())
	require.ErrorIs(e, await(e, ended), op.ErrCanceled)
	require.False(e, t.Stop())
	var order []int
	for _, ms := range []int{3, 1, 2} {
		_, err := l.After(time.Duration(ms)*time.Millisecond, func(error) {
			if order = append(order, ms); len(order) == 3 {
				ended <- nil
			}
		})
		require.NoError(e, err)
	}
	require.NoError(e, await(e, ended))
	require.Len(e, order, 3)
}

func timerAtClose(e *env) {
	l := e.start()
	e.settle()
	var end error
	t, err := l.After(time.Hour, func(err error) { end = err })
	require.NoError(e, err)
	require.NoError(e, l.Close())
	require.ErrorIs(e, end, net.ErrClosed)
	require.False(e, t.Stop())
}
