package proactor_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// moved is what Move's callback was given, and on which loop.
type moved struct {
	c   *proactor.Conn
	err error
}

func move(t *testing.T, c *proactor.Conn, to *proactor.Loop) chan moved {
	t.Helper()
	done := make(chan moved, 2)
	require.NoError(t, c.Move(to, func(c *proactor.Conn, err error) { done <- moved{c, err} }))
	return done
}

// connPair returns a connection of the loop and its peer.
func connPair(t *testing.T, l *proactor.Loop) (*proactor.Conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	peer := dial(t, ln.Addr().String())
	theirs, err := ln.Accept()
	require.NoError(t, err)
	c, err := l.AdoptConn(theirs)
	require.NoError(t, err)
	return c, peer
}

// A Move with an operation under way is refused, and disturbs nothing.
func TestMoveIsRefusedWhileOperationsArePending(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		name, _ := l.Engine()
		other := runLoop(t, loopOn(t, name))
		results := make(chan string, 9)
		in := make([]byte, 5)
		huge := make([]byte, 32<<20)
		for what, x := range map[string]struct {
			submit func(c *proactor.Conn)
			end    func(peer net.Conn)
			want   string
		}{
			"receive": {
				func(c *proactor.Conn) { _, _ = c.Recv(in, func(n int, err error) { results <- string(in[:n]) }) },
				func(peer net.Conn) { _, _ = peer.Write([]byte("hello")) },
				"hello",
			},
			"poll": {
				func(c *proactor.Conn) {
					o := &proactor.Op{Done: func(o *proactor.Op) { results <- "ready" }}
					_, _ = l.Submit(o.Poll(c, unix.POLLIN))
				},
				func(peer net.Conn) { _, _ = peer.Write([]byte("x")) },
				"ready",
			},
			"send": {
				func(c *proactor.Conn) {
					_, _ = c.Send(huge, func(n int, err error) {
						if n == len(huge) && err == nil {
							results <- "all"
						}
					})
				},
				func(peer net.Conn) { _, _ = io.CopyN(io.Discard, peer, int64(len(huge))) },
				"all",
			},
		} {
			t.Run(what, func(t *testing.T) {
				c, peer := connPair(t, l)
				x.submit(c)
				for range 3 {
					require.Equal(t, moved{nil, proactor.ErrPending}, got(t, move(t, c, other)))
				}
				require.Empty(t, results)
				require.Same(t, l, c.Loop())
				x.end(peer)
				require.Equal(t, x.want, got(t, results))
				m := got(t, move(t, c, other))
				require.NoError(t, m.err)
				require.Same(t, other, m.c.Loop())
				require.ErrorIs(t, c.Move(other, func(*proactor.Conn, error) {}), proactor.ErrClosed)
				sent := make(chan error, 1)
				_, err := m.c.Send([]byte("moved"), func(_ int, err error) { sent <- err })
				require.NoError(t, err)
				require.NoError(t, got(t, sent))
				b := make([]byte, 5)
				_, err = io.ReadFull(peer, b)
				require.NoError(t, err)
				require.Equal(t, "moved", string(b))
			})
		}
	})
}

// A refused Move leaves a RecvEach as it was; one that isn't ends it.
func TestMoveAndRecvEach(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		c, peer := connPair(t, l)
		pieces := make(chan moved, 9)
		texts := make(chan string, 9)
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
			if err != nil {
				pieces <- moved{nil, err}
				return
			}
			texts <- string(b.Bytes())
			b.Release()
		}))
		_, err := c.Recv(make([]byte, 1), nil) // in line behind it
		require.NoError(t, err)
		require.Equal(t, moved{nil, proactor.ErrPending}, got(t, move(t, c, l)))
		_, err = peer.Write([]byte("still here"))
		require.NoError(t, err)
		require.Equal(t, "still here", got(t, texts))
		require.Empty(t, pieces)
		require.NoError(t, c.Abort(nil))
		require.ErrorIs(t, got(t, pieces).err, proactor.ErrClosed)

		c, peer = connPair(t, l)
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) { pieces <- moved{nil, err} }))
		m := got(t, move(t, c, l))
		require.NoError(t, m.err)
		require.Equal(t, moved{nil, proactor.ErrClosed}, got(t, pieces), "before the answer")
		require.NoError(t, peer.Close())
		require.NoError(t, m.c.RecvEach(func(_ *proactor.Buffer, err error) { pieces <- moved{nil, err} }))
		require.Equal(t, io.EOF, got(t, pieces).err)
	})
}

// Close and Move at the same time: either the connection is closed, or it is moved.
func TestMoveOrClose(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		for range 100 {
			c, peer := connPair(t, l)
			closed := make(chan error, 1)
			go func() { closed <- c.Close(nil) }()
			done := make(chan moved, 1)
			if err := c.Move(l, func(c *proactor.Conn, err error) { done <- moved{c, err} }); err != nil {
				require.ErrorIs(t, err, proactor.ErrClosed)
				require.NoError(t, got(t, closed))
			} else if m := got(t, done); m.err == nil {
				require.ErrorIs(t, got(t, closed), proactor.ErrClosed)
				require.NoError(t, m.c.Close(nil))
			} else {
				require.ErrorIs(t, m.err, proactor.ErrClosed)
				require.NoError(t, got(t, closed))
			}
			_, err := peer.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		}
		handlesLeft(t, l, 0)
	})
}

func TestMoveWhenTheLoopCloses(t *testing.T) {
	for _, name := range []string{"io_uring", "epoll"} {
		t.Run(name, func(t *testing.T) {
			l := loopOn(t, name)
			c, peer := connPair(t, l)
			done := move(t, c, l)
			require.NoError(t, l.Close())
			require.ErrorIs(t, got(t, done).err, proactor.ErrClosed)
			require.NoError(t, peer.SetReadDeadline(time.Now().Add(patience)))
			_, err := peer.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		})
	}
}

// A stream that was torn stays it, on whatever loop.
func TestATornConnectionIsTornAfterItsMove(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		c, _ := connPair(t, l)
		c.SetSendTimeout(time.Millisecond)
		ended := make(chan error, 1)
		_, err := c.Send(make([]byte, 64<<20), func(n int, err error) { ended <- err })
		require.NoError(t, err)
		require.ErrorIs(t, got(t, ended), os.ErrDeadlineExceeded)
		m := got(t, move(t, c, l))
		require.NoError(t, m.err)
		_, err = m.c.Send([]byte("behind a gap"), func(n int, err error) { ended <- err })
		require.NoError(t, err)
		require.ErrorIs(t, got(t, ended), proactor.ErrTorn)
	})
}
