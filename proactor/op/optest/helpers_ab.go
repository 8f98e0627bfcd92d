//go:build linux

package optest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// job is an operation whose results come to a channel. There is room for more
// than the one result that may come, so that another is seen and doesn't block.
type job struct {
	op.Op
	got chan result
}

func newJob() *job {
	j := &job{}
	j.got, j.Done = into(4)
	return j
}

// wait returns the job's result.
func (j *job) wait(e *env) (int, error) {
	e.Helper()
	r := await(e, j.got)
	return r.n, r.err
}

// waitFor requires the job to end with n and an error that is want.
func (j *job) waitFor(e *env, n int, want error) {
	e.Helper()
	got, err := j.wait(e)
	require.ErrorIs(e, err, want)
	require.Equal(e, n, got)
}

// stillPending requires the job to be under way, once the loop is done with what
// it can do.
func (j *job) stillPending(e *env) {
	e.Helper()
	e.settle()
	require.Empty(e, j.got, "the operation ended before its time")
	require.True(e, j.InFlight())
}

// put submits a prepared operation, which must be accepted.
func (e *env) put(o *op.Op) op.Ticket {
	e.Helper()
	t, err := e.loop.Submit(o)
	require.NoError(e, err)
	return t
}

// abort closes a handle at once and waits for it.
func (e *env) abort(h *op.Handle) {
	e.Helper()
	j := newJob()
	e.put(j.Abort(h))
	j.waitFor(e, 0, nil)
}

// many is n, or few where everything takes longer.
func many(n, few int) int {
	if raceEnabled || testing.Short() {
		return few
	}
	return n
}

// pattern returns n bytes, from position at on, of an endless sequence in which
// a swap, a gap or a repetition shows.
func pattern(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		p := at + i
		b[i] = byte(p*31 + p>>8*17 + p>>16*7)
	}
	return b
}

// filled returns n bytes that no test sends.
func filled(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xEE
	}
	return b
}

// read reads exactly n bytes from a peer, in small steps: a slow reader.
func (e *env) read(from io.Reader, n int) []byte {
	e.Helper()
	b := make([]byte, n)
	for at := 0; at < n; {
		got, err := from.Read(b[at:min(at+3000, n)])
		require.NoError(e, err, "after %d of %d bytes", at, n)
		at += got
	}
	return b
}

// readRest reads until the end of the stream.
func (e *env) readRest(from io.Reader) []byte {
	e.Helper()
	b, err := io.ReadAll(from)
	require.NoError(e, err)
	return b
}

// write writes all of b to a peer.
func (e *env) write(to io.Writer, b []byte) {
	e.Helper()
	_, err := to.Write(b)
	require.NoError(e, err)
}

// requireSame is require.Equal for long byte slices: it doesn't print them.
func requireSame(e *env, want, got []byte) {
	e.Helper()
	require.Equal(e, len(want), len(got), "length")
	for i := range want {
		if want[i] != got[i] {
			e.Fatalf("byte %d of %d is %#x, want %#x", i, len(want), got[i], want[i])
		}
	}
}

// barePair is a pair whose peer is a bare non-blocking descriptor.
func (e *env) barePair() (*op.Handle, int) {
	e.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	h, err := e.loop.Register(fds[0])
	require.NoError(e, err)
	return h, e.keep(fds[1])
}

// narrow makes the buffers of a handle's socket as small as the kernel allows.
func (e *env) narrow(h *op.Handle) {
	e.Helper()
	require.NoError(e, unix.SetsockoptInt(h.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096))
	require.NoError(e, unix.SetsockoptInt(h.FD(), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096))
}

// narrowPair is a pair that takes only few bytes until its peer reads.
func (e *env) narrowPair() (*op.Handle, net.Conn) {
	e.Helper()
	h, peer := e.pair()
	e.narrow(h)
	return h, peer
}

// narrowTCP is a TCP connection that takes only few bytes until its peer reads.
// The peer's receive buffer is left alone: with a small one TCP waits for 200 ms
// now and then.
func (e *env) narrowTCP() (*op.Handle, *net.TCPConn) {
	e.Helper()
	h, peer := e.tcpPair()
	e.narrow(h)
	return h, peer
}

// stuff fills what a handle's socket or pipe can hold, and returns how many
// bytes that took: the next send has to wait.
func (e *env) stuff(h *op.Handle) (n int) {
	e.Helper()
	for b := make([]byte, 4096); ; {
		m, err := unix.Write(h.FD(), b)
		switch {
		case err == nil:
			n += m
		case err == unix.EINTR:
		case len(b) > 1:
			b = b[:1]
		default:
			require.Equal(e, unix.EAGAIN, err)
			return n
		}
	}
}

// keep closes a descriptor when the test ends.
func (e *env) keep(fd int) int {
	e.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// newSocket returns a new socket, the caller's to close.
func (e *env) newSocket(family int) int {
	e.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	return fd
}

// socket returns a new socket, closed with the test.
func (e *env) socket(family int) int {
	e.Helper()
	return e.keep(e.newSocket(family))
}

// socketHandle returns a new socket as a handle of the loop.
func (e *env) socketHandle(family int) *op.Handle {
	e.Helper()
	h, err := e.loop.Register(e.newSocket(family))
	require.NoError(e, err)
	return h
}

// readable waits until a descriptor outside the loop is.
func (e *env) readable(fd int) {
	e.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		require.NoError(e, err)
		require.Equal(e, 1, n, "the event didn't come")
		return
	}
}

var names atomic.Uint32

// unixName returns an abstract unix address that nobody uses: a path under
// TempDir could be longer than an address may be.
func unixName() string {
	return fmt.Sprintf("@proactor-optest-%d-%d", os.Getpid(), names.Add(1))
}

// unixListener returns a listening unix socket, not registered with the loop.
func (e *env) unixListener(backlog int) (fd int, name string) {
	e.Helper()
	fd, name = e.socket(unix.AF_UNIX), unixName()
	require.NoError(e, unix.Bind(fd, &unix.SockaddrUnix{Name: name}))
	require.NoError(e, unix.Listen(fd, backlog))
	return fd, name
}

// listener returns a listening unix socket as a handle of the loop.
func (e *env) listener() (h *op.Handle, name string) {
	e.Helper()
	fd, name := e.unixListener(1024)
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	h, err = e.loop.Register(dup)
	require.NoError(e, err)
	return h, name
}

// knock connects to a unix listener and leaves the connection in its backlog.
func (e *env) knock(name string) int {
	e.Helper()
	fd := e.socket(unix.AF_UNIX)
	require.NoError(e, unix.Connect(fd, &unix.SockaddrUnix{Name: name}))
	return fd
}

func (e *env) unixAddr(name string) *op.Sockaddr {
	e.Helper()
	sa, err := op.UnixSockaddr(name)
	require.NoError(e, err)
	return sa
}

// fullUnix returns the address of a unix listener whose backlog is full, so that
// a connect waits, and a function that makes room for one more.
func (e *env) fullUnix() (to *op.Sockaddr, room func()) {
	e.Helper()
	fd, name := e.unixListener(0)
	for {
		err := unix.Connect(e.socket(unix.AF_UNIX), &unix.SockaddrUnix{Name: name})
		if err == unix.EAGAIN {
			break
		}
		require.NoError(e, err)
	}
	return e.unixAddr(name), func() {
		c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		require.NoError(e, err)
		e.keep(c)
	}
}

// fullTCP returns the address of a TCP listener whose backlog is full: the
// kernel drops what asks for a connection, so a connect waits for a second.
func (e *env) fullTCP() *op.Sockaddr {
	e.Helper()
	fd := e.socket(unix.AF_INET)
	require.NoError(e, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(e, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	require.NoError(e, err)
	for range 4 {
		_ = unix.Connect(e.socket(unix.AF_INET), name)
	}
	return tcpAddr(e, name.(*unix.SockaddrInet4).Port)
}

// tempFile returns a file of the loop with the given content, and its path.
func (e *env) tempFile(content []byte) (h *op.Handle, path string) {
	e.Helper()
	path = filepath.Join(e.TempDir(), "file")
	require.NoError(e, os.WriteFile(path, content, 0o600))
	return e.openFile(path, unix.O_RDWR), path
}

func (e *env) openFile(path string, flags int) *op.Handle {
	e.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	require.NoError(e, err)
	h, err := e.loop.Register(fd)
	require.NoError(e, err)
	return h
}

// pipe returns the loop's end of a pipe and the other end.
func (e *env) pipe(loopReads bool) (*op.Handle, *os.File) {
	e.Helper()
	r, w, err := os.Pipe()
	require.NoError(e, err)
	ours, theirs := w, r
	if loopReads {
		ours, theirs = r, w
	}
	defer ours.Close()
	e.Cleanup(func() { theirs.Close() })
	require.NoError(e, theirs.SetDeadline(time.Now().Add(patience)))
	fd, err := unix.FcntlInt(ours.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	h, err := e.loop.Register(fd)
	require.NoError(e, err)
	return h, theirs
}

// dispose closes the descriptor that an operation has made, if it made one.
func dispose(o *op.Op) {
	switch o.Code() {
	case op.SpliceIn, op.SpliceOut, op.Tee:
		a := o.Req().Args()
		for _, p := range []*op.Pipe{a.Pipe, a.Pipe2} {
			if p != nil {
				p.Close()
			}
		}
	}
	if fd, err := o.Result(); err == nil && o.Code().Info().Shape == op.Opened {
		op.CloseFD(fd)
	}
}

// isEnd reports whether err says that an operation ended because it was asked to.
func isEnd(err error) bool {
	return errors.Is(err, op.ErrCanceled) || errors.Is(err, os.ErrDeadlineExceeded)
}

func tcpAddr(e *env, port int) *op.Sockaddr {
	e.Helper()
	sa, err := op.IPSockaddr(loopback(port))
	require.NoError(e, err)
	return sa
}
