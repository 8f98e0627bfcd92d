package proactor_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAdoptFileHasADescriptorOfItsOwn(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		f, err := os.Create(filepath.Join(t.TempDir(), "file"))
		require.NoError(t, err)
		_, err = f.WriteString("contents")
		require.NoError(t, err)
		x, err := l.AdoptFile(f)
		require.NoError(t, err)
		require.Equal(t, f.Name(), x.Name())
		require.NoError(t, f.Close(), "it is the caller's")
		buf, end := make([]byte, 8), make(chan error, 1)
		_, err = x.ReadAt(buf, 0, func(_ int, err error) { end <- err })
		require.NoError(t, err)
		require.NoError(t, got(t, end))
		require.Equal(t, "contents", string(buf))
		require.NoError(t, x.Close(func(err error) { end <- err }))
		require.NoError(t, got(t, end))

	})
}

func TestAdoptFileAndAdoptStreamLeaveWhatIsTheOthers(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		f, err := os.Open(t.TempDir())
		require.NoError(t, err)
		defer f.Close()
		r, _ := pipe(t)
		before := optest.Descriptors()
		_, err = l.AdoptFile(r)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.False(t, nonblocking(t, r))
		_, err = l.AdoptStream(f)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		sameFDs(t, before)
		f.Close()
		_, err = l.AdoptFile(f)
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = l.AdoptStream(f)
		require.ErrorIs(t, err, os.ErrClosed)
		require.NoError(t, l.Close())
		_, err = l.AdoptStream(r)
		require.ErrorIs(t, err, net.ErrClosed)
		sameFDs(t, before)
	})
}

// A loop reads a terminal that a shell has, too: to that it stays a blocking one.
func TestAdoptStreamLeavesASharedTerminalBlocking(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		master, slave := terminal(t)
		before := optest.Descriptors()
		c, err := l.AdoptStream(slave)
		require.NoError(t, err)
		require.False(t, nonblocking(t, slave))
		for _, line := range []string{"one\n", "two\n"} {
			waiting := make(chan string, 1)
			buf := make([]byte, 64)
			_, err = c.Recv(buf, func(n int, err error) { waiting <- string(buf[:n]) })
			require.NoError(t, err)
			_, err = master.WriteString(line)
			require.NoError(t, err)
			require.Equal(t, line, got(t, waiting))
		}
		pieces := make(chan string, 8)
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
			if err == nil {
				pieces <- string(b.Bytes())
				b.Release()
			}
		}))
		for _, line := range []string{"three\n", "four\n"} {
			_, err = master.WriteString(line)
			require.NoError(t, err)
			require.Equal(t, line, got(t, pieces))
		}
		_, err = c.Send([]byte("prompt"), nil)
		require.NoError(t, err)
		b := make([]byte, 6)
		_, err = io.ReadFull(master, b)
		require.NoError(t, err)
		require.Equal(t, "prompt", string(b))
		closeConn(t, c)
		sameFDs(t, before)

		require.False(t, nonblocking(t, slave))
		read := make(chan string, 1)
		go func() {
			b := make([]byte, 64)
			n, err := slave.Read(b)
			if err != nil {
				read <- err.Error()
				return
			}
			read <- string(b[:n])
		}()
		blockedInRead(t)
		_, err = master.WriteString("shell\n")
		require.NoError(t, err)
		require.Equal(t, "shell\n", got(t, read), "the other holder's read waits")
	})
}

// blockedInRead waits until a thread of the process sleeps in a terminal's read, if
// the system tells.
func blockedInRead(t *testing.T) {
	t.Helper()
	if _, err := os.ReadFile("/proc/thread-self/syscall"); err != nil {
		return
	}
	sleeps := func() bool {
		tasks, _ := filepath.Glob("/proc/self/task/*/syscall")
		for _, name := range tasks {
			var nr, fd int
			b, _ := os.ReadFile(name)
			if n, _ := fmt.Sscanf(string(b), "%d 0x%x", &nr, &fd); n == 2 && nr == unix.SYS_READ {
				if to, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); filepath.Dir(to) == "/dev/pts" {
					return true
				}
			}
		}
		return false
	}
	require.Eventually(t, sleeps, patience, time.Millisecond)
}

// A pseudo-terminal's master that is opened anew is another terminal's.
func TestAdoptStreamTakesAMasterOnlyAsItIs(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		master, slave := terminal(t)
		before := optest.Descriptors()
		_, err := l.AdoptStream(master)
		require.ErrorContains(t, err, "blocking")
		require.False(t, nonblocking(t, master))
		sameFDs(t, before)

		raw, err := master.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) { err = unix.SetNonblock(int(fd), true) }))
		require.NoError(t, err)
		c, err := l.AdoptStream(master)
		require.NoError(t, err)
		_, err = slave.WriteString("out")
		require.NoError(t, err)
		require.Equal(t, "out", receive(t, c))
		closeConn(t, c)
	})
}

func TestAdoptStreamReadsAPipeToItsEnd(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, w := pipe(t)
		before := optest.Descriptors()
		c, err := l.AdoptStream(r)
		require.NoError(t, err)
		require.False(t, nonblocking(t, r))
		for _, s := range []string{"one", "two"} {
			_, err = w.WriteString(s)
			require.NoError(t, err)
			require.Equal(t, s, receive(t, c))
		}
		end := make(chan error, 1)
		_, err = c.Recv(make([]byte, 1), func(_ int, err error) { end <- err })
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Equal(t, io.EOF, got(t, end))
		closeConn(t, c)
		sameFDs(t, before)
		_, err = r.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "the file is the caller's")
	})
}

func TestAdoptStreamAddsAWriterToAPipe(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, w := pipe(t)
		c, err := l.AdoptStream(w)
		require.NoError(t, err)
		require.False(t, nonblocking(t, w))
		big := make([]byte, 1<<20) // more than the pipe holds
		sent := make(chan error, 1)
		_, err = c.Send(big, func(_ int, err error) { sent <- err })
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, len(big)))
		require.NoError(t, err)
		require.NoError(t, got(t, sent))
		require.NoError(t, w.Close())
		_, err = c.Send([]byte("still"), nil)
		require.NoError(t, err)
		b := make([]byte, 5)
		_, err = io.ReadFull(r, b)
		require.NoError(t, err, "the Conn is a writer of its own")
		closeConn(t, c)
		_, err = r.Read(b)
		require.Equal(t, io.EOF, err)
	})
}

func TestAdoptStreamSharesASocket(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		near, far := blocking(t, fds, err)
		c, err := l.AdoptStream(near)
		require.NoError(t, err)
		waiting := make(chan string, 8)
		report := func(b *proactor.Buffer, err error) {
			if err != nil {
				waiting <- err.Error()
				return
			}
			waiting <- string(b.Bytes())
			b.Release()
		}
		require.NoError(t, c.RecvEach(report))
		alive := make(chan bool, 1)
		require.NoError(t, l.Post(func() { alive <- true }))
		got(t, alive) // the loop isn't in a receive that blocks
		for _, s := range []string{"one", "two"} {
			_, err = far.WriteString(s)
			require.NoError(t, err)
			require.Equal(t, s, got(t, waiting))
		}
		big := make([]byte, 4<<20)
		sent := make(chan error, 1)
		_, err = c.Send(big, func(_ int, err error) { sent <- err })
		require.NoError(t, err)
		require.NoError(t, l.Post(func() { alive <- true }))
		got(t, alive) // nor in such a send
		_, err = io.ReadFull(far, make([]byte, len(big)))
		require.NoError(t, err)
		require.NoError(t, got(t, sent))
		require.False(t, nonblocking(t, near))
		closeConn(t, c)
		require.Equal(t, net.ErrClosed.Error(), got(t, waiting))

		fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		near, far = blocking(t, fds, err)
		c, err = l.AdoptStream(near)
		require.NoError(t, err)
		require.Equal(t, "unixpacket", c.LocalAddr().Network())
		require.NoError(t, c.RecvEach(report))
		for _, s := range []string{"one", "two"} {
			_, err = far.WriteString(s)
			require.NoError(t, err)
			require.Equal(t, s, got(t, waiting))
		}
		require.NoError(t, unix.Shutdown(int(far.Fd()), unix.SHUT_WR))
		require.Equal(t, "EOF", got(t, waiting)) // which a multishot would miss
		closeConn(t, c)

		fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		near, _ = blocking(t, fds, err)
		_, err = l.AdoptStream(near)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	})
}

func TestAdoptStreamTakesDevNull(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		f := os.NewFile(uintptr(fd), "null")
		defer f.Close()
		c, err := l.AdoptStream(f)
		require.NoError(t, err)
		require.Equal(t, "EOF", receive(t, c))
		require.False(t, nonblocking(t, f))
		closeConn(t, c)
	})
}
