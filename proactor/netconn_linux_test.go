package proactor_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

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
