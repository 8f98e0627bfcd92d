package proactor_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newLoop(t *testing.T) *proactor.Loop {
	t.Helper()
	l, err := proactor.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func TestControlIsCalledBeforeTheSocketIsBound(t *testing.T) {
	l := newLoop(t)
	for _, x := range []struct{ network, address, name string }{
		{"tcp", "127.0.0.1:0", "tcp4"}, {"tcp", "[::1]:0", "tcp6"}, {"tcp6", "[::1]:0", "tcp6"}, {"udp", "127.0.0.1:0", "udp4"},
	} {
		var name, address string
		c := proactor.ListenConfig{Control: func(n, a string, raw syscall.RawConn) error {
			name, address = n, a
			return raw.Control(func(fd uintptr) {
				sa, err := unix.Getsockname(int(fd))
				require.NoError(t, err)
				if in, ok := sa.(*unix.SockaddrInet4); ok {
					require.Zero(t, in.Port, "not bound yet")
				}
				require.NoError(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, 3))
			})
		}}
		fd := 0
		if x.network == "udp" {
			p, err := c.ListenPacket(l, x.network, x.address)
			require.NoError(t, err)
			fd = p.FD()
		} else {
			ln, err := c.Listen(l, x.network, x.address)
			require.NoError(t, err)
			fd = ln.FD()
		}
		require.Equal(t, x.name, name)
		require.Equal(t, x.address, address)
		v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY)
		require.NoError(t, err)
		require.Equal(t, 3, v)
	}
	no := errors.New("no")
	c := proactor.ListenConfig{Control: func(string, string, syscall.RawConn) error { return no }}
	_, err := c.Listen(l, "tcp", "127.0.0.1:0")
	require.ErrorIs(t, err, no)
	_, err = c.ListenPacket(l, "udp", "127.0.0.1:0")
	require.ErrorIs(t, err, no)
}

func TestSeveralSocketsShareAnAddress(t *testing.T) {
	l := newLoop(t)
	c := proactor.ListenConfig{ReusePort: true}
	one, err := c.Listen(l, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, err = c.Listen(l, "tcp", one.Addr().String())
	require.NoError(t, err)
	p, err := c.ListenPacket(l, "udp", "127.0.0.1:0")
	require.NoError(t, err)
	_, err = c.ListenPacket(l, "udp", p.LocalAddr().String())
	require.NoError(t, err)
	_, err = l.ListenPacket("udp", p.LocalAddr().String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

// A backlog of one holds two connections: those that come then wait for their SYN
// to be heard.
func TestABacklogIsKept(t *testing.T) {
	l := newLoop(t)
	c := proactor.ListenConfig{Backlog: 1}
	ln, err := c.Listen(l, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	made := 0
	for range 8 {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
		cancel()
		if err != nil {
			break
		}
		defer conn.Close()
		made++
	}
	require.Equal(t, 2, made)
}

func TestTheFirstDataComeWithTheSYN(t *testing.T) {
	l := newLoop(t)
	c := proactor.ListenConfig{FastOpen: 16}
	ln, err := c.Listen(l, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	v, err := unix.GetsockoptInt(ln.FD(), unix.IPPROTO_TCP, unix.TCP_FASTOPEN)
	require.NoError(t, err)
	require.Equal(t, 16, v)
}
