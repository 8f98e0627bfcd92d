package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pair returns an echoer with its end of a connection, and the peer's end.
func pair(t *testing.T) (e *echoer, fd, peer int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fds[1]) })
	return &echoer{unsent: map[int][]byte{}}, fds[0], fds[1]
}

func TestWhatComesWhileASocketIsFullIsServedToItsEnd(t *testing.T) {
	e, fd, peer := pair(t)
	data := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	sent := 0
	write := func(size int) {
		n, err := unix.Write(peer, data[sent:sent+size])
		require.NoError(t, err)
		sent += n
	}
	s := short
	for s != blocked {
		write(bufferSize)
		s = e.drain(fd, false)
		require.Contains(t, []state{more, short, empty, blocked}, s)
	}
	write(100)
	require.NoError(t, unix.Shutdown(peer, unix.SHUT_WR))
	clear(e.buf[:]) // as another connection would

	var got []byte
	for b := make([]byte, bufferSize); ; {
		n, err := unix.Read(peer, b)
		if err == unix.EAGAIN && s == blocked { // there is room for all that the server has
			s = e.drain(fd, false)
			require.Contains(t, []state{blocked, closed}, s, "no other event will tell of the end")
			continue
		}
		require.NoError(t, err)
		if n == 0 {
			break
		}
		got = append(got, b[:n]...)
	}
	require.Equal(t, closed, s)
	require.Empty(t, e.unsent)
	require.True(t, bytes.Equal(got, data[:sent]))
}

func TestAConnectionWithUnsentBytesThatFailsLeavesNothing(t *testing.T) {
	e, fd, peer := pair(t)
	for s := short; s != blocked; s = e.drain(fd, false) {
		_, err := unix.Write(peer, make([]byte, bufferSize))
		require.NoError(t, err)
	}
	require.NoError(t, unix.Shutdown(peer, unix.SHUT_RDWR))
	require.Equal(t, closed, e.drain(fd, false))
	require.Empty(t, e.unsent)
}

// The end of the stream comes in the segment of the last bytes: to a server that is
// told of events once it is one event.
func TestTheEndIsSeenThatComesWithTheLastBytes(t *testing.T) {
	eachArm(t, func(t *testing.T, c *child) {
		for range 10 {
			conn := dial(t, c.addr)
			raw, err := conn.SyscallConn()
			require.NoError(t, err)
			require.NoError(t, raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
			}))
			require.NoError(t, err)
			_, err = conn.Write([]byte("the last bytes"))
			require.NoError(t, err)
			require.NoError(t, conn.CloseWrite())
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(answerTime)))
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, "the last bytes", string(got))
		}
	})
}

// A full socket that were still watched for reading, of which there is something,
// would be ready again and again.
func TestAServerWithAFullSocketIsAtRest(t *testing.T) {
	data := make([]byte, 32<<20)
	eachArm(t, func(t *testing.T, c *child) {
		if c.cmd.Args[2] == "busypoll" {
			t.Skip("it never rests")
		}
		conn := dial(t, c.addr)
		fill(t, conn, data)
		begun, before := time.Now(), lab.CPUTime(c.cmd.Process.Pid)
		fill(t, conn, data) // probes of the window still move a little
		require.Less(t, lab.CPUTime(c.cmd.Process.Pid)-before, time.Since(begun)/2)
	})
}
