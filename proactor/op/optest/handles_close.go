//go:build linux

package optest

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func connCloseIsLast(e *env) {
	e.start(proactor.WithLinger(patience)) // a machine may stand still for the usual one
	c, fd := e.conn()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	peer := e.netConn(dup)
	var log []string
	note := func(what string) func(int, error) { return func(int, error) { log = append(log, what) } }
	data := make([]byte, 4<<20) // more than the socket holds
	_, err = c.Recv(make([]byte, 1), note("recv"))
	require.NoError(e, err)
	_, err = c.Send(data, note("send"))
	require.NoError(e, err)
	closed := make(chan error, 1)
	require.NoError(e, c.Close(func(err error) {
		log = append(log, "close")
		closed <- err
	}))
	require.ErrorIs(e, c.Close(nil), net.ErrClosed)
	_, err = c.Recv(make([]byte, 1), note("late"))
	require.ErrorIs(e, err, net.ErrClosed)
	all, err := io.ReadAll(peer)
	require.NoError(e, err)
	require.Equal(e, len(data), len(all)) // not Len, which prints them
	require.NoError(e, await(e, closed))
	require.Equal(e, []string{"recv", "send", "close"}, log)
}

func connAbort(e *env) {
	e.start()
	c, _ := e.conn()
	ends := make(chan error, 3)
	end := func(_ int, err error) { ends <- err }
	_, err := c.Recv(make([]byte, 1), end)
	require.NoError(e, err)
	_, err = c.Send(make([]byte, 8<<20), end)
	require.NoError(e, err)
	closed := make(chan error, 2)
	require.NoError(e, c.Close(func(err error) { closed <- err })) // waits for the peer to read
	e.settle()
	require.Empty(e, closed)
	require.NoError(e, c.Abort(func(err error) { closed <- err }))
	for range 2 {
		require.NoError(e, await(e, closed))
		require.ErrorIs(e, await(e, ends), net.ErrClosed)
	}
}

func nilCallbacks(e *env) {
	e.start()
	c, peer := e.conn()
	unix.Write(peer, []byte("x"))
	_, err := c.Recv(make([]byte, 1), nil)
	require.NoError(e, err)
	_, err = c.Send([]byte("y"), nil)
	require.NoError(e, err)
	_, err = c.SendBuffers([][]byte{{1}}, nil)
	require.NoError(e, err)
	_, err = c.CloseWrite(nil)
	require.NoError(e, err)
	require.NoError(e, c.Close(nil))
	e.noHandles()
	e.onLoop(func() {}) // the callback of the close has run
	require.Zero(e, e.loop.Stats().Calls)
}

func acceptOne(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	first, server := connects(e, ln, "tcp4", ln.Addr().String())
	require.Equal(e, first.LocalAddr().String(), server.RemoteAddr().String())
	ended := make(chan error, 1)
	_, err = ln.Accept(func(c *proactor.Conn, err error) { ended <- err })
	require.NoError(e, err)
	require.NoError(e, plain(e, ln.Close))
	require.ErrorIs(e, await(e, ended), net.ErrClosed)
	_, err = ln.Accept(func(*proactor.Conn, error) {})
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = net.Dial("tcp4", ln.Addr().String())
	require.ErrorIs(e, err, syscall.ECONNREFUSED)
}

func acceptEachEnds(e *env) {
	const n = 50
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	a := e.acceptEach(ln)
	for range n {
		c, err := net.Dial("tcp4", ln.Addr().String())
		require.NoError(e, err)
		s := await(e, a.conns)
		require.Equal(e, c.LocalAddr().String(), s.RemoteAddr().String())
		c.Close()
		require.NoError(e, s.Close(nil))
	}
	require.NoError(e, plain(e, ln.Close))
	require.ErrorIs(e, await(e, a.errs).err, net.ErrClosed)
	e.settle()
	require.Empty(e, a.errs)
	require.Empty(e, a.conns)
}

func acceptEachCloses(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	conns := 0
	var ends atomic.Int32
	closed := make(chan error, 1)
	require.NoError(e, ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil {
			require.ErrorIs(e, err, net.ErrClosed)
			ends.Add(1)
			return
		}
		conns++
		require.NoError(e, c.Close(nil))
		require.NoError(e, ln.Close(func(err error) { closed <- err }))
	}))
	c, err := net.Dial("tcp4", ln.Addr().String())
	require.NoError(e, err)
	c.Close()
	require.NoError(e, await(e, closed))
	e.settle()
	require.Equal(e, 1, conns)
	require.EqualValues(e, 1, ends.Load())
}

func acceptEachOnce(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	e.acceptEach(ln)
	require.Error(e, ln.AcceptEach(func(*proactor.Conn, error) {}))
	require.NoError(e, plain(e, ln.Close))
	other, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	require.NoError(e, plain(e, other.Close))
	require.ErrorIs(e, other.AcceptEach(func(*proactor.Conn, error) {}), net.ErrClosed)
}
