package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestControlIsAskedBeforeTheConnect(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"one.test.": {"127.0.0.1"}})
		mine := errors.New("mine")
		d := &proactor.Dialer{Resolver: r, Control: func(string, string, syscall.RawConn) error { return mine }}
		_, err := d.Dial(l, "tcp", ln.Addr().String(), func(*proactor.Conn, error) { t.Error("a callback of a refused dial") })
		require.ErrorIs(t, err, mine)
		end, _ := dials(t, l, d, "tcp", at("one.test.", portOf(ln)))
		require.ErrorIs(t, got(t, end).err, mine)
		handlesLeft(t, l, 0)
		sameFDs(t, before)

		d.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				if _, err := unix.Getpeername(int(fd)); err != unix.ENOTCONN {
					t.Error("it is connected already")
				}
				if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 0); err != nil {
					t.Error(err)
				}
			})
		}
		for _, address := range []string{ln.Addr().String(), at("one.test.", portOf(ln))} {
			c := connected(t, l, d, "tcp", address)
			require.Zero(t, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY), "it can change the options")
			closeConn(t, c)
		}
	})
}

func TestDialConnectsFromTheLocalAddress(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		r, _ := names(map[string][]string{"one.test.": {"::1", "127.0.0.1"}})
		for _, address := range []string{ln.Addr().String(), at("one.test.", portOf(ln))} {
			d := &proactor.Dialer{Resolver: r, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}}
			c := connected(t, l, d, "tcp", address)
			peer := accept(t, ln)
			require.Equal(t, "127.0.0.5", peer.RemoteAddr().(*net.TCPAddr).IP.String())
			closeConn(t, c)

			port := nobody(t)
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 6), Port: port}
			end := make(chan dialed, 1)
			_, err := d.Dial(l, "tcp", address, func(c *proactor.Conn, err error) { end <- dialed{c, err} })
			if err == nil {
				err = got(t, end).err
			}
			require.ErrorIs(t, err, syscall.EADDRINUSE, "the port is another's")
		}
		dir := t.TempDir()
		uln := listen(t, "unix", dir+"/there")
		c := connected(t, l, &proactor.Dialer{LocalAddr: &net.UnixAddr{Net: "unix", Name: dir + "/here"}}, "unix", dir+"/there")
		require.Equal(t, dir+"/here", accept(t, uln).RemoteAddr().String())
		closeConn(t, c)
	})
}

func TestKeepAliveIsAsInPackageNet(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		for _, x := range []struct {
			d                         proactor.Dialer
			on, idle, interval, count int
		}{
			{proactor.Dialer{}, 1, 15, 15, 9},
			{proactor.Dialer{KeepAlive: 30 * time.Second}, 1, 30, 30, 9},
			{proactor.Dialer{KeepAlive: -1, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 1500 * time.Millisecond, Interval: 4 * time.Second, Count: 5}}, 1, 2, 4, 5},
			{proactor.Dialer{KeepAlive: -1}, 0, -1, -1, -1},
		} {
			c := connected(t, l, &x.d, "tcp", ln.Addr().String())
			require.Equal(t, x.on, option(t, c, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
			require.Equal(t, 1, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
			if x.on == 1 {
				require.Equal(t, x.idle, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
				require.Equal(t, x.interval, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
				require.Equal(t, x.count, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
			}
			closeConn(t, c)
		}
	})
}

func TestDialUnixpacketKeepsTheBoundsOfMessages(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "unixpacket", t.TempDir()+"/socket")
		c := connected(t, l, new(proactor.Dialer), "unixpacket", ln.Addr().String())
		require.Equal(t, "unixpacket", c.RemoteAddr().Network())
		peer := accept(t, ln)
		talk(t, c, peer)
		for _, s := range []string{"one", "two"} {
			_, err := peer.Write([]byte(s))
			require.NoError(t, err)
		}
		require.Equal(t, "one", receive(t, c))
		require.Equal(t, "two", receive(t, c))
		peer.Close()
		require.Equal(t, "EOF", receive(t, c))
		closeConn(t, c)
	})
}

func TestOptionsOfAConnection(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		c := connected(t, l, new(proactor.Dialer), "tcp", ln.Addr().String())
		accept(t, ln)
		require.NoError(t, c.SetNoDelay(false))
		require.Zero(t, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
		require.NoError(t, c.SetNoDelay(true))
		require.Equal(t, 1, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
		require.NoError(t, c.SetReadBuffer(20000))
		require.Equal(t, 40000, option(t, c, unix.SOL_SOCKET, unix.SO_RCVBUF))
		require.NoError(t, c.SetWriteBuffer(30000))
		require.Equal(t, 60000, option(t, c, unix.SOL_SOCKET, unix.SO_SNDBUF))
		require.NoError(t, c.SetKeepAlive(net.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: -1, Count: -1}))
		require.Equal(t, 7, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
		require.Equal(t, 15, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
		require.Equal(t, 9, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
		require.NoError(t, c.SetKeepAlive(net.KeepAliveConfig{}))
		require.Zero(t, option(t, c, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
		_, err := c.PeerCred()
		require.ErrorIs(t, err, errors.ErrUnsupported)
		closeConn(t, c)
		for _, err := range []error{c.SetNoDelay(true), c.SetLinger(0), c.SetReadBuffer(1), c.SetWriteBuffer(1), c.SetKeepAlive(net.KeepAliveConfig{})} {
			require.ErrorIs(t, err, net.ErrClosed)
		}
		_, err = c.PeerCred()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestALingerOfZeroResets(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		for sec, want := range map[int]error{0: syscall.ECONNRESET, -1: io.EOF, 1: io.EOF} {
			c := connected(t, l, new(proactor.Dialer), "tcp", ln.Addr().String())
			require.NoError(t, c.SetLinger(sec))
			peer := accept(t, ln)
			closeConn(t, c)
			_, err := peer.Read(make([]byte, 1))
			require.ErrorIs(t, err, want, sec)
		}
	})
}

func TestPeerCredTellsWhoTheOtherIs(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "unix", t.TempDir()+"/socket")
		c := connected(t, l, new(proactor.Dialer), "unix", ln.Addr().String())
		who, err := c.PeerCred()
		require.NoError(t, err)
		require.Equal(t, proactor.Cred{PID: os.Getpid(), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}, who)
		closeConn(t, c)
	})
}

func TestCloseReadEndsReceiving(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		c := connected(t, l, new(proactor.Dialer), "tcp", ln.Addr().String())
		peer := accept(t, ln)
		ends := make(chan error, 1)
		require.NoError(t, c.RecvEach(func(_ *proactor.Buffer, err error) { ends <- err }))
		closed := make(chan error, 1)
		_, err := c.CloseRead(func(err error) { closed <- err })
		require.NoError(t, err)
		require.NoError(t, got(t, closed))
		require.Equal(t, io.EOF, got(t, ends))
		_, err = c.Send([]byte("still"), nil)
		require.NoError(t, err)
		b := make([]byte, 5)
		_, err = io.ReadFull(peer, b)
		require.NoError(t, err, "the other direction goes on")
		closeConn(t, c)
	})
}

func TestFastOpenSendsDataWithTheSYN(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte("3"), 0); err != nil {
		t.Skip(noNamespace, "fast open: ", err)
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		open := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16) })
			return err
		}}
		open.SetMultipathTCP(false)
		ln, err := open.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		d := &proactor.Dialer{FastOpen: true}
		for i := range 3 { // the first gets the cookie, if the one before hasn't
			c := connected(t, l, d, "tcp", ln.Addr().String())
			_, err := c.Send([]byte("first"), nil)
			require.NoError(t, err)
			peer := accept(t, ln)
			b := make([]byte, 5)
			_, err = io.ReadFull(peer, b)
			require.NoError(t, err)
			talk(t, c, peer)
			info, err := unix.GetsockoptTCPInfo(c.FD(), unix.IPPROTO_TCP, unix.TCP_INFO)
			require.NoError(t, err)
			const synData = 32 // TCPI_OPT_SYN_DATA
			if i > 0 {
				require.NotZero(t, info.Options&synData, fmt.Sprintf("%#x", info.Options))
			}
			closeConn(t, c)
		}
	})
}

// A dialer connects from one address, and gives up after 5 s.
func ExampleDialer() {
	peer, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	d := proactor.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}}
	_, err = d.Dial(loop, "tcp", peer.Addr().String(), func(c *proactor.Conn, err error) {
		if err == nil {
			fmt.Println("from", c.LocalAddr().(*net.TCPAddr).IP)
		} else {
			fmt.Println(err)
		}
		_ = loop.Close()
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: from 127.0.0.7
}
