//go:build linux

package optest

import (
	"io"
	"net"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func seqpacket(e *env) {
	e.start()
	h, peer := e.rawPair(unix.SOCK_SEQPACKET)
	for _, s := range []string{"one", "longer than one"} {
		_, err := unix.Write(peer, []byte(s))
		require.NoError(e, err)
	}
	buf := make([]byte, 5)
	n, err := e.do(func(o *op.Op) *op.Op { return o.Recv(h, buf) })
	require.NoError(e, err)
	require.Equal(e, "one", string(buf[:n]))
	n, err = e.do(func(o *op.Op) *op.Op { return o.Recv(h, buf) })
	require.NoError(e, err)
	require.Equal(e, "longe", string(buf[:n]))
	require.NoError(e, unix.Shutdown(peer, unix.SHUT_WR))
	for range 2 {
		n, err = e.do(func(o *op.Op) *op.Op { return o.Recv(h, buf) })
		require.ErrorIs(e, err, io.EOF)
		require.Zero(e, n)
	}
	n, err = e.do(func(o *op.Op) *op.Op { return o.RecvMsg(h, &op.Message{Data: buf}) })
	require.ErrorIs(e, err, io.EOF)
	require.Zero(e, n)
	n, err = e.do(func(o *op.Op) *op.Op { return o.Sendv(h, [][]byte{[]byte("a"), []byte("b")}) })
	require.NoError(e, err)
	require.Equal(e, 2, n)
	n, err = unix.Read(peer, buf)
	require.NoError(e, err)
	require.Equal(e, "ab", string(buf[:n]))
}

func seqpacketEach(e *env) {
	e.start()
	for _, prepare := range []func(*op.Op, op.Target) *op.Op{
		func(o *op.Op, t op.Target) *op.Op { return o.RecvMsgEach(t, 0) },
		func(o *op.Op, t op.Target) *op.Op { return o.RecvEach(t) },
	} {
		h, peer := e.rawPair(unix.SOCK_SEQPACKET)
		got := make(chan string, 99)
		o := &op.Op{Done: func(o *op.Op) {
			if b := o.Buffer(); b != nil {
				got <- string(b.Bytes())
				b.Release()
				return
			}
			_, err := o.Result()
			got <- err.Error()
		}}
		for i := range 5 {
			_, err := unix.Write(peer, []byte{'a' + byte(i)})
			require.NoError(e, err)
		}
		_, err := e.loop.Submit(prepare(o, h))
		require.NoError(e, err)
		for i := range 40 {
			if i >= 5 {
				_, err := unix.Write(peer, []byte{'a' + byte(i)})
				require.NoError(e, err)
			}
			require.Equal(e, string([]byte{'a' + byte(i)}), await(e, got))
		}
		require.NoError(e, unix.Shutdown(peer, unix.SHUT_WR))
		require.Equal(e, "EOF", await(e, got))
	}
}

// seqpacketEmpty sends an empty message, which can't be told from the end: nothing
// behind it is lost, and no descriptor that it carries.
func seqpacketEmpty(e *env) {
	e.start()
	h, peer := e.rawPair(unix.SOCK_SEQPACKET)
	for _, s := range []string{"a", "", "b", "c"} {
		_, err := unix.Write(peer, []byte(s))
		require.NoError(e, err)
	}
	for _, want := range [][]string{{"a", "EOF"}, {"b", "c"}} {
		got := make(chan string, 9)
		o := &op.Op{Done: func(o *op.Op) {
			if b := o.Buffer(); b != nil {
				got <- string(b.Bytes())
				b.Release()
				return
			}
			_, err := o.Result()
			got <- err.Error()
		}}
		_, err := e.loop.Submit(o.RecvMsgEach(h, 64))
		require.NoError(e, err)
		for _, s := range want {
			require.Equal(e, s, await(e, got))
		}
	}
}

func seqpacketEmptyRights(e *env) {
	e.start()
	x, y := e.fds(unix.SOCK_SEQPACKET)
	a, b := e.register(x, nil), e.register(y, nil)
	r, w := e.pipeFDs()
	m := &op.Message{Control: op.Control(nil).AppendRights(w)}
	_, err := e.do(func(o *op.Op) *op.Op { return o.SendMsg(a, m) })
	require.NoError(e, err)
	require.NoError(e, unix.Close(w))
	_, err = e.do(func(o *op.Op) *op.Op { return o.RecvMsgEach(b, 64) })
	require.ErrorIs(e, err, io.EOF)
	e.ended(r)
}

func seqpacketHandles(e *env) {
	l := e.start()
	ln, err := l.Listen("unixpacket", unixName())
	require.NoError(e, err)
	require.Equal(e, "unixpacket", ln.Addr().Network())
	accepted := make(chan *proactor.Conn, 1)
	require.NoError(e, ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err == nil {
			accepted <- c
		}
	}))
	peer, err := net.Dial("unixpacket", ln.Addr().String())
	require.NoError(e, err)
	defer peer.Close()
	require.NoError(e, peer.SetDeadline(time.Now().Add(patience)))
	c := await(e, accepted)
	require.Equal(e, "unixpacket", c.LocalAddr().Network())
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if err != nil {
			_ = c.Close(nil)
			return
		}
		_, _ = c.SendBuffer(b, nil)
	}))
	for _, s := range []string{"a", "bc", "def"} {
		_, err = peer.Write([]byte(s))
		require.NoError(e, err)
	}
	buf := make([]byte, 100)
	for _, s := range []string{"a", "bc", "def"} {
		n, err := peer.Read(buf)
		require.NoError(e, err)
		require.Equal(e, s, string(buf[:n]))
	}
	require.NoError(e, peer.(*net.UnixConn).CloseWrite())
	_, err = peer.Read(buf)
	require.ErrorIs(e, err, io.EOF)
}
