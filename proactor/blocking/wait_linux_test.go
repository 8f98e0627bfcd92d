package blocking_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

func TestWaitReturnsTheResultOfAnOperation(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		var o proactor.Op
		_, err := n.Wait(context.Background(), o.Nop())
		require.NoError(t, err)
		require.Nil(t, o.Done)
		fd, err := n.Wait(context.Background(), o.OpenAt(nil, "/dev/null", os.O_RDWR, 0))
		require.NoError(t, err)
		h, err := n.Loop().Register(fd)
		require.NoError(t, err)
		k, err := n.Wait(context.Background(), o.Send(h, []byte("four")))
		require.NoError(t, err)
		require.Equal(t, 4, k)
		_, err = n.Wait(context.Background(), o.Abort(h))
		require.NoError(t, err)
		_, err = n.Wait(context.Background(), o.Send(h, []byte("x")))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = n.Wait(context.Background(), o.OpenAt(nil, "a\x00b", 0, 0))
		require.ErrorIs(t, err, proactor.ErrInvalid)
		require.Panics(t, func() { _, _ = n.Wait(context.Background(), new(proactor.Op)) })
		require.Panics(t, func() { _, _ = n.Wait(context.Background(), new(proactor.Op).AcceptEach(h)) })
	})
}

// When the context ends, Wait must not return before the kernel has let go of the
// buffer: then it can be used at once, and what comes later isn't in it.
func TestWaitCancelsWhenTheContextEnds(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		ln, err := n.Loop().Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		peer, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer peer.Close()
		var o proactor.Op
		fd, err := n.Wait(context.Background(), o.Accept(ln))
		require.NoError(t, err)
		c, err := ln.NewConn(fd)
		require.NoError(t, err)

		b := make([]byte, 8)
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(context.Background())
		done := async(func() error {
			_, err := n.Wait(ctx, o.Recv(c, b))
			return err
		})
		blocked(t, n, 1)
		cancel(why)
		require.Equal(t, why, got(t, done))
		require.False(t, o.InFlight())
		_, err = n.Wait(ctx, o.Recv(c, b))
		require.Equal(t, why, err, "a context that is over")

		_, err = n.Wait(context.Background(), o.Recv(c, b).SetTimeout(time.Millisecond))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		_, err = peer.Write([]byte("data"))
		require.NoError(t, err)
		live, stop := context.WithCancel(context.Background())
		defer stop()
		k, err := n.Wait(live, o.Recv(c, b))
		require.NoError(t, err)
		require.Equal(t, "data", string(b[:k]))
	})
}

func TestANetOnALoopOfAnother(t *testing.T) {
	l, err := proactor.New()
	require.NoError(t, err)
	n := blocking.On(l)
	done := async(func() error {
		_, err := n.Wait(context.Background(), new(proactor.Op).Timeout(time.Millisecond))
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := async(func() error { return l.Run(ctx) })
	require.NoError(t, got(t, done))
	require.NoError(t, n.Close(), "not the loop")
	_, err = n.Wait(context.Background(), new(proactor.Op).Nop())
	require.NoError(t, err)

	// A connection that callbacks have used, and that goes on with blocking methods.
	near := make(chan *proactor.Conn, 1)
	ln, err := l.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, err = ln.Accept(func(c *proactor.Conn, err error) { near <- c })
	require.NoError(t, err)
	peer, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer peer.Close()
	accepted := got(t, near)
	c := n.Conn(accepted)
	_, err = peer.Write([]byte("hello"))
	require.NoError(t, err)
	b := make([]byte, 8)
	k, err := c.Read(b)
	require.NoError(t, err)
	require.Equal(t, "hello", string(b[:k]))
	require.NoError(t, c.Close())

	cancel()
	require.ErrorIs(t, got(t, ran), context.Canceled)
	other, err := proactor.New()
	require.NoError(t, err)
	require.Panics(t, func() { blocking.On(other).Conn(accepted) })
	require.NoError(t, other.Close())
}

func TestTheDefaultNetIsMadeOnFirstUse(t *testing.T) {
	t.Cleanup(func() { require.NoError(t, blocking.CloseDefault()) })
	ln, err := blocking.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := async(func() error {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("x"))
		return errors.Join(err, c.Close())
	})
	c, err := blocking.Dial(context.Background(), "tcp", ln.Addr().String())
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, got(t, accepted))
	require.NoError(t, c.Close())
	require.NoError(t, ln.Close())
	p, err := blocking.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, p.Close())
	name := t.TempDir() + "/file"
	f, err := blocking.Create(name)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = blocking.OpenFile(name, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = blocking.Open(name)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	d, err := blocking.DirFS(t.TempDir()).Open(".")
	require.NoError(t, err)
	require.NoError(t, d.Close())
	first, err := blocking.Default()
	require.NoError(t, err)
	second, err := blocking.Default()
	require.NoError(t, err)
	require.Same(t, first, second)
}
