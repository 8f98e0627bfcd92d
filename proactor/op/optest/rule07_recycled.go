//go:build linux

package optest

import (
	"net"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// reborn is a pair that is made as soon as another handle is closed, and a
// receive on it.
type reborn struct {
	h    *op.Handle
	peer int
	recv *job
	err  error
}

func (e *env) rebirth(buf []byte) (r reborn) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return reborn{err: err}
	}
	r.peer, r.recv = fds[1], newJob()
	if r.h, r.err = e.loop.Register(fds[0]); r.err == nil {
		_, r.err = e.loop.Submit(r.recv.Recv(r.h, buf))
	}
	return r
}

// check requires the receive to get what its own peer sends and nothing else.
func (r *reborn) check(e *env, buf []byte) {
	e.Helper()
	require.NoError(e, r.err)
	defer unix.Close(r.peer)
	r.recv.stillPending(e)
	_, err := unix.Write(r.peer, []byte("new"))
	require.NoError(e, err)
	r.recv.waitFor(e, 3, nil)
	require.Equal(e, "new", string(buf[:3]))
	e.abort(r.h)
}

func rule07Recycled(e *env) {
	e.start()
	same := 0
	for i := range many(150, 60) {
		h, peer := e.barePair()
		fd := h.FD()
		recv, poll, closing := newJob(), newJob(), newJob()
		e.put(recv.Recv(h, make([]byte, 64)))
		e.put(poll.Poll(h, unix.POLLIN))
		if i%2 == 0 {
			e.settle()
		}
		buf, made := make([]byte, 64), make(chan reborn, 1)
		closing.Done = func(*op.Op) { made <- e.rebirth(buf) }
		// Events for the old descriptor, at about the time of its end.
		_, err := unix.Write(peer, []byte("old"))
		require.NoError(e, err)
		if i%3 == 0 {
			require.NoError(e, unix.Shutdown(peer, unix.SHUT_WR))
		}
		e.put(closing.Abort(h))
		_, _ = unix.Write(peer, []byte("old"))
		r := await(e, made)
		_, _ = unix.Write(peer, []byte("old"))
		if r.err == nil && r.h.FD() == fd {
			same++
		}
		r.check(e, buf)
	}
	require.Positive(e, same, "no number was recycled: this tests nothing")
}

// Closing a descriptor that has a duplicate doesn't end its socket: an engine
// that had not let go of it would hear of it still.
func rule07Duplicate(e *env) {
	e.start()
	for range 50 {
		h, peer := e.barePair()
		fd := h.FD()
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(e, err)
		recv, poll, closing := newJob(), newJob(), newJob()
		e.put(recv.Recv(h, make([]byte, 64)))
		e.put(poll.Poll(h, unix.POLLIN))
		e.settle()
		buf, made := make([]byte, 64), make(chan reborn, 1)
		closing.Done = func(*op.Op) { made <- e.rebirth(buf) }
		e.put(closing.Close(h, 0))
		r := await(e, made)
		require.NoError(e, r.err)
		require.Equal(e, fd, r.h.FD(), "the number was not recycled: this tests nothing")
		_, err = unix.Write(peer, []byte("old"))
		require.NoError(e, err)
		require.NoError(e, unix.Shutdown(peer, unix.SHUT_RDWR))
		recv.waitFor(e, 0, net.ErrClosed)
		poll.waitFor(e, 0, net.ErrClosed)
		r.check(e, buf)
		n, err := unix.Read(dup, make([]byte, 64))
		require.NoError(e, err)
		require.Equal(e, 3, n, "what came after the close was taken")
		require.NoError(e, unix.Close(dup))
	}
}
