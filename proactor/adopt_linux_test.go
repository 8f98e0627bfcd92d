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

// netPair returns both ends of a connection of package net.
func netPair(t *testing.T, network, address string) (near, far net.Conn) {
	t.Helper()
	ln := listen(t, network, address)
	defer ln.Close()
	near, err := net.Dial(network, ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { near.Close() })
	return near, accept(t, ln)
}

// blocking returns the ends of a pipe or socket pair that are in blocking mode, as
// inherited ones are.
func blocking(t *testing.T, fds [2]int, err error) (a, b *os.File) {
	t.Helper()
	require.NoError(t, err)
	a, b = os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
	t.Cleanup(func() { a.Close(); b.Close() })
	require.False(t, nonblocking(t, a), "it is to begin with")
	return a, b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var p [2]int
	err := unix.Pipe2(p[:], unix.O_CLOEXEC)
	return blocking(t, p, err)
}

func nonblocking(t *testing.T, f *os.File) (on bool) {
	t.Helper()
	c, err := f.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, c.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		require.NoError(t, err)
		on = flags&unix.O_NONBLOCK != 0
	}))
	return on
}

// terminal opens a pseudo-terminal: its master, and its slave as a shell would have
// it.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	master = os.NewFile(uintptr(fd), "master")
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	fd, err = unix.Open("/dev/pts/"+strconv.Itoa(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	slave = os.NewFile(uintptr(fd), "slave")
	t.Cleanup(func() { slave.Close() })
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	require.NoError(t, err)
	mode.Lflag &^= unix.ECHO
	require.NoError(t, unix.IoctlSetTermios(fd, unix.TCSETS, mode))
	return master, slave
}

func TestAdoptConnTakesTheSocketOver(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": t.TempDir() + "/socket", "unixpacket": t.TempDir() + "/packet"} {
			before := optest.Descriptors()
			near, far := netPair(t, network, address)
			_, err := far.Write([]byte("early"))
			require.NoError(t, err)
			c, err := l.AdoptConn(near)
			require.NoError(t, err)
			_, err = near.Write([]byte("x"))
			require.ErrorIs(t, err, net.ErrClosed)
			require.Equal(t, near.RemoteAddr(), c.RemoteAddr())
			require.Equal(t, "early", receive(t, c))
			talk(t, c, far)
			closeConn(t, c)
			_, err = far.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "nobody else has the socket")
			far.Close()
			sameFDs(t, before)
		}
	})
}

func TestAReadThatIsUnderWayEndsWhenItsConnIsAdopted(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		near, far := netPair(t, "tcp", "127.0.0.1:0")
		began, ends := make(chan bool), make(chan error, 1)
		go func() {
			close(began)
			_, err := near.Read(make([]byte, 1))
			ends <- err
		}()
		got(t, began)
		c, err := l.AdoptConn(near)
		require.NoError(t, err)
		require.ErrorIs(t, got(t, ends), net.ErrClosed)
		talk(t, c, far)
		closeConn(t, c)
	})
}

func TestAdoptConnLeavesWhatItRefuses(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		near, far := netPair(t, "tcp", "127.0.0.1:0")
		gram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: t.TempDir() + "/gram"})
		require.NoError(t, err)
		defer gram.Close()
		one, two := net.Pipe()
		defer one.Close()
		defer two.Close()
		before := optest.Descriptors()
		for _, c := range []net.Conn{gram, one} {
			_, err := l.AdoptConn(c)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.NoError(t, c.SetDeadline(time.Time{}), "it is open")
		}
		handlesLeft(t, l, 0)
		require.NoError(t, l.Close())
		_, err = l.AdoptConn(near)
		require.ErrorIs(t, err, net.ErrClosed)
		sameFDs(t, before)
		_, err = near.Write([]byte("mine"))
		require.NoError(t, err)
		b := make([]byte, 4)
		_, err = io.ReadFull(far, b)
		require.NoError(t, err)

		near.Close()
		_, err = l.AdoptConn(near)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestAdoptListenerTakesItsBacklogToo(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		path := filepath.Join(t.TempDir(), "socket")
		for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
			before := optest.Descriptors()
			ln := listen(t, network, address)
			waits, err := net.Dial(network, ln.Addr().String())
			require.NoError(t, err)
			x, err := l.AdoptListener(ln)
			require.NoError(t, err)
			require.Equal(t, ln.Addr(), x.Addr())
			_, err = ln.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
			accepted := make(chan dialed, 2)
			require.NoError(t, x.AcceptEach(func(c *proactor.Conn, err error) {
				if err == nil {
					accepted <- dialed{c, err}
				}
			}))
			later, err := net.Dial(network, x.Addr().String())
			require.NoError(t, err)
			for _, peer := range []net.Conn{waits, later} {
				c := got(t, accepted).c
				if network == "tcp" && peer == later {
					require.Equal(t, 1, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
				}
				require.NoError(t, peer.SetDeadline(time.Now().Add(patience)))
				talk(t, c, peer)
				closeConn(t, c)
				peer.Close()
			}
			closed := make(chan error, 1)
			require.NoError(t, x.Close(func(err error) { closed <- err }))
			require.NoError(t, got(t, closed))
			_, err = net.Dial(network, x.Addr().String())
			require.Error(t, err)
			sameFDs(t, before)
		}
		_, err := os.Lstat(path)
		require.ErrorIs(t, err, os.ErrNotExist, "Close removes the file")
	})
}

func TestAdoptListenerLeavesWhatItRefuses(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "unix", filepath.Join(t.TempDir(), "socket"))
		_, err := l.AdoptListener(struct{ net.Listener }{ln})
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.NoError(t, l.Close())
		_, err = l.AdoptListener(ln)
		require.ErrorIs(t, err, net.ErrClosed)
		c, err := net.Dial("unix", ln.Addr().String())
		require.NoError(t, err, "it still listens")
		c.Close()
		ln.Close()
		_, err = os.Lstat(ln.Addr().String())
		require.ErrorIs(t, err, os.ErrNotExist, "and still removes its file")
	})
}

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
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
			if err != nil {
				waiting <- err.Error()
				return
			}
			waiting <- string(b.Bytes())
			b.Release()
		}))
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

func TestNetConnHandsTheConnectionBack(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": t.TempDir() + "/socket"} {
			before := optest.Descriptors()
			near, far := netPair(t, network, address)
			c, err := l.AdoptConn(near)
			require.NoError(t, err)
			pieces := make(chan string, 8)
			require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
				if err != nil {
					require.ErrorIs(t, err, net.ErrClosed)
					pieces <- "closed"
					return
				}
				pieces <- string(b.Bytes())
				b.Release()
			}))
			_, err = far.Write([]byte("before"))
			require.NoError(t, err)
			require.Equal(t, "before", got(t, pieces))
			big := make([]byte, 4<<20) // is being sent when the connection is asked for
			_, err = c.Send(big, nil)
			require.NoError(t, err)
			type result struct {
				c   net.Conn
				err error
			}
			back := make(chan result, 1)
			require.NoError(t, c.NetConn(func(c net.Conn, err error) { back <- result{c, err} }))
			_, err = c.Recv(make([]byte, 1), nil)
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, c.NetConn(func(net.Conn, error) {}), net.ErrClosed)
			require.Equal(t, "closed", got(t, pieces))
			_, err = io.ReadFull(far, make([]byte, len(big)))
			require.NoError(t, err)
			r := got(t, back)
			require.NoError(t, r.err)
			require.IsType(t, near, r.c)
			require.NoError(t, r.c.SetDeadline(time.Now().Add(patience)))
			b := make([]byte, 5)
			_, err = far.Write([]byte("there"))
			require.NoError(t, err)
			_, err = io.ReadFull(r.c, b)
			require.NoError(t, err)
			require.Equal(t, "there", string(b))
			_, err = r.c.Write([]byte("again"))
			require.NoError(t, err)
			_, err = io.ReadFull(far, b)
			require.NoError(t, err)
			require.Equal(t, "again", string(b))
			handlesLeft(t, l, 0)
			r.c.Close()
			_, err = far.Read(b)
			require.Equal(t, io.EOF, err, "the loop has no descriptor of it left")
			far.Close()
			sameFDs(t, before)
		}
	})
}

func TestNetConnIsForSockets(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, _ := pipe(t)
		c, err := l.AdoptStream(r)
		require.NoError(t, err)
		require.ErrorIs(t, c.NetConn(func(net.Conn, error) {}), errors.ErrUnsupported)
		closeConn(t, c)
	})
}

func TestNetConnOnALoopThatClosesGetsNothing(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		near, far := netPair(t, "tcp", "127.0.0.1:0")
		c, err := l.AdoptConn(near)
		require.NoError(t, err)
		_, err = c.Send(make([]byte, 64<<20), nil) // nobody reads it
		require.NoError(t, err)
		end := make(chan error, 1)
		require.NoError(t, c.NetConn(func(c net.Conn, err error) {
			require.Nil(t, c)
			end <- err
		}))
		require.NoError(t, l.Close())
		require.ErrorIs(t, got(t, end), net.ErrClosed)
		_, err = io.Copy(io.Discard, far)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the socket is closed")
	})
}
