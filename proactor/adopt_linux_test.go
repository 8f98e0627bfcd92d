package proactor_test

import (
	"errors"
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
