//go:build linux

package optest

import (
	"net"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var zeroCopyTests = []test{
	{"Move_AZeroCopySendSendsAll", zeroCopyAll},
	{"Move_AZeroCopySendWaitsForItsMemoryBesideTheLine", zeroCopyBeside},
	{"Move_AnAbortTakesTheMemoryOfAZeroCopySendBack", zeroCopyAbort},
	{"Move_ALoopClosesWithAZeroCopySendOut", zeroCopyClose},
}

func zeroCopyAll(e *env) {
	e.start(proactor.WithZeroCopyFrom(1000))
	tcp, peer := e.narrowTCP()
	local, localPeer := e.narrowPair() // its sockets know nothing of zero copies
	for _, x := range []struct {
		h    *op.Handle
		peer net.Conn
	}{{tcp, peer}, {local, localPeer}} {
		for _, n := range []int{0, 999, 1000, 1 << 20} {
			first, second := newJob(), newJob()
			a, b := pattern(0, n), pattern(n, 100)
			e.onLoop(func() {
				e.put(first.SendZeroCopy(x.h, a))
				e.put(second.Send(x.h, b))
			})
			requireSame(e, append(a, b...), e.read(x.peer, n+100))
			first.waitFor(e, n, nil)
			second.waitFor(e, 100, nil)
			require.True(e, first.Copied(), "to this machine the kernel copies")
		}
	}
}

// unreadSize fits into a socket's send queue, and not into what the peer takes unread.
const unreadSize = 128 << 10

// unread is a zero-copy send whose data are in the socket's queue, where nothing has
// copied them yet, and a send behind it.
func (e *env) unread(h *op.Handle) (j *job, behind *job) {
	e.Helper()
	require.NoError(e, unix.SetsockoptInt(h.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 200_000))
	j, behind = newJob(), newJob()
	e.onLoop(func() {
		e.put(j.SendZeroCopy(h, pattern(0, unreadSize)))
		e.put(behind.Send(h, pattern(unreadSize, 100)))
	})
	return j, behind
}

// slowTCP is a pair whose peer takes little until it reads.
func (e *env) slowTCP() (*op.Handle, net.Conn) {
	e.Helper()
	addr, accepted := e.smallListener()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	h := e.register(fd, err)
	j := newJob()
	e.put(j.Connect(h, addr))
	j.waitFor(e, 0, nil)
	return h, await(e, accepted)
}

func (e *env) smallListener() (*op.Sockaddr, chan net.Conn) {
	e.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	e.Cleanup(func() { ln.Close() })
	c, err := ln.(*net.TCPListener).SyscallConn()
	require.NoError(e, err)
	require.NoError(e, c.Control(func(fd uintptr) {
		require.NoError(e, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096))
	}))
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := ln.Accept(); err == nil {
			e.Cleanup(func() { c.Close() })
			_ = c.SetDeadline(time.Now().Add(patience))
			accepted <- c
		}
	}()
	return tcpAddr(e, ln.Addr().(*net.TCPAddr).Port), accepted
}

func zeroCopyBeside(e *env) {
	e.start()
	h, peer := e.slowTCP()
	j, behind := e.unread(h)
	behind.waitFor(e, 100, nil) // in the kernel's queue, whatever the peer does
	if e.stats().Engine.ZeroCopies > 0 {
		require.True(e, j.InFlight(), "the kernel still has the memory")
	}
	all := e.read(peer, unreadSize+100)
	j.waitFor(e, unreadSize, nil)
	requireSame(e, pattern(0, unreadSize+100), all)
}

func zeroCopyAbort(e *env) {
	e.start()
	h, _ := e.slowTCP()
	j, behind := e.unread(h)
	behind.waitFor(e, 100, nil)
	e.abort(h)
	n, err := j.wait(e)
	require.NoError(e, err, "its data had gone to the kernel")
	require.Equal(e, unreadSize, n)
}

func zeroCopyClose(e *env) {
	l := e.start()
	h, _ := e.slowTCP()
	j, behind := e.unread(h)
	behind.waitFor(e, 100, nil)
	require.NoError(e, l.Close())
	j.waitFor(e, unreadSize, nil)
}
