//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The tests of the handles: their closure verbs rest on the raw operations, and
// are held to the same contract.
var handleTests = []test{
	{"Handle_EchoOverTCP4", echoOver("tcp4", "127.0.0.1:0")},
	{"Handle_EchoOverTCP6", echoOver("tcp6", "[::1]:0")},
	{"Handle_EchoOverTCP", echoOver("tcp", "localhost:0")},
	{"Handle_EchoOverAUnixPath", echoUnixPath},
	{"Handle_EchoOverAnAbstractUnixName", echoUnixAbstract},
	{"Handle_AWildcardTakesBothFamilies", wildcard},
	{"Handle_ADialThatIsRefused", dialRefused},
	{"Handle_ADialPastItsTime", dialTimeout},
	{"Handle_ADialThatIsCancelled", dialCancelled},
	{"Handle_AddressesThatCannotBeDialled", badAddresses},
	{"Handle_ARecvTimeoutEndsAReceive", recvTimeout},
	{"Handle_ASendTimeoutEndsASend", sendTimeout},
	{"Handle_SendBuffersSendsAllInOrder", sendBuffers},
	{"Handle_CloseWriteIsSeenByThePeer", closeWrite},
	{"Handle_CloseFlushesAndIsLast", connCloseIsLast},
	{"Handle_AbortEndsEverything", connAbort},
	{"Handle_ANilCallbackIsAllowed", nilCallbacks},
	{"Handle_AcceptTakesOneConnection", acceptOne},
	{"Handle_AcceptEachTakesThemAllAndEnds", acceptEachEnds},
	{"Handle_AcceptEachMayCloseItsListener", acceptEachCloses},
	{"Handle_AcceptEachOnlyOnce", acceptEachOnce},
	{"Handle_DescriptorsAreCloseOnExecAndWithoutDelay", descriptorFlags},
	{"Handle_AnAddressInUse", addressInUse},
	{"Handle_AFileIsWrittenAndReadBack", fileRoundTrip},
	{"Handle_AFileThatCannotBeOpened", fileMissing},
	{"Handle_AClosedFileRefuses", fileClosed},
	{"Handle_ATimerRunsOrIsStopped", timers},
	{"Handle_ATimerEndsWithItsLoop", timerAtClose},
}

// plain calls f and waits for the error that its callback gets.
func plain(e *env, f func(done func(error)) error) error {
	e.Helper()
	c := make(chan error, 1)
	require.NoError(e, f(func(err error) { c <- err }))
	return await(e, c)
}

// counted calls f and waits for the result that its callback gets.
func counted(e *env, f func(done func(int, error)) (op.Ticket, error)) (int, error) {
	e.Helper()
	c := make(chan result, 1)
	_, err := f(func(n int, err error) { c <- result{n, err} })
	require.NoError(e, err)
	r := await(e, c)
	return r.n, r.err
}

// connects dials and accepts, and returns both ends.
func connects(e *env, ln *proactor.Listener, network, address string) (client, server *proactor.Conn) {
	e.Helper()
	type end struct {
		c   *proactor.Conn
		err error
	}
	dialed, accepted := make(chan end, 1), make(chan end, 1)
	_, err := ln.Accept(func(c *proactor.Conn, err error) { accepted <- end{c, err} })
	require.NoError(e, err)
	_, err = e.loop.Dial(network, address, func(c *proactor.Conn, err error) { dialed <- end{c, err} })
	require.NoError(e, err)
	d, a := await(e, dialed), await(e, accepted)
	require.NoError(e, d.err)
	require.NoError(e, a.err)
	return d.c, a.c
}

// echo sends through the client to the server and back.
func echo(e *env, client, server *proactor.Conn) {
	e.Helper()
	data, buf := []byte("hello"), make([]byte, 64)
	for range 3 {
		n, err := counted(e, func(f func(int, error)) (op.Ticket, error) { return client.Send(data, f) })
		require.NoError(e, err)
		require.Equal(e, len(data), n)
		n, err = counted(e, func(f func(int, error)) (op.Ticket, error) { return server.Recv(buf, f) })
		require.NoError(e, err)
		_, err = server.Send(buf[:n], nil)
		require.NoError(e, err)
		back := make([]byte, 64)
		n, err = counted(e, func(f func(int, error)) (op.Ticket, error) { return client.Recv(back, f) })
		require.NoError(e, err)
		require.Equal(e, data, back[:n])
	}
	require.NoError(e, plain(e, client.Close))
	_, err := counted(e, func(f func(int, error)) (op.Ticket, error) { return server.Recv(buf, f) })
	require.Equal(e, io.EOF, err)
	require.NoError(e, plain(e, server.Close))
}

func echoOver(network, address string) func(*env) {
	return func(e *env) {
		if probe, err := net.Listen(network, address); err != nil {
			e.Skip("no such network here: ", err)
		} else {
			probe.Close()
		}
		l := e.start()
		ln, err := l.Listen(network, address)
		require.NoError(e, err)
		require.Equal(e, "tcp", ln.Addr().Network())
		client, server := connects(e, ln, network, ln.Addr().String())
		require.Equal(e, ln.Addr().String(), client.RemoteAddr().String())
		require.Equal(e, ln.Addr().String(), server.LocalAddr().String())
		require.Equal(e, client.LocalAddr().String(), server.RemoteAddr().String())
		require.Same(e, l, client.Loop())
		echo(e, client, server)
		require.Nil(e, client.LocalAddr(), "the address of a closed connection")
	}
}

func echoUnixPath(e *env) {
	l := e.start()
	path := filepath.Join(e.TempDir(), "socket")
	ln, err := l.Listen("unix", path)
	require.NoError(e, err)
	require.Equal(e, &net.UnixAddr{Net: "unix", Name: path}, ln.Addr())
	client, server := connects(e, ln, "unix", path)
	require.Equal(e, path, client.RemoteAddr().String())
	echo(e, client, server)
	require.NoError(e, plain(e, ln.Close))
	_, err = os.Lstat(path)
	require.ErrorIs(e, err, os.ErrNotExist, "Close removes the file")
}

func echoUnixAbstract(e *env) {
	l := e.start()
	name := unixName()
	ln, err := l.Listen("unix", name)
	require.NoError(e, err)
	require.Equal(e, name, ln.Addr().String())
	client, server := connects(e, ln, "unix", name)
	require.Equal(e, name, client.RemoteAddr().String())
	echo(e, client, server)
}

func wildcard(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp", ":0")
	if err != nil {
		e.Skip("no IPv6 here: ", err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(e, err)
	client, server := connects(e, ln, "tcp", "127.0.0.1:"+port)
	require.Equal(e, "127.0.0.1:"+port, server.LocalAddr().String())
	echo(e, client, server)
	client, server = connects(e, ln, "tcp", "[::1]:"+port)
	echo(e, client, server)
}

// dials waits for a dial that must fail, and returns with what.
func dials(e *env, f func(done func(*proactor.Conn, error)) (op.Ticket, error)) error {
	e.Helper()
	return plain(e, func(done func(error)) error {
		_, err := f(func(c *proactor.Conn, err error) {
			require.Nil(e, c)
			done(err)
		})
		return err
	})
}

// noHandles waits until the loop has closed its last handle.
func (e *env) noHandles() {
	e.Helper()
	none := func() bool { return e.loop.Stats().Handles == 0 }
	require.Eventually(e, none, patience, time.Millisecond, "handles are left over")
}

func dialRefused(e *env) {
	l := e.start()
	address := (&same13{env: e}).nobody().AddrPort().String()
	err := dials(e, func(done func(*proactor.Conn, error)) (op.Ticket, error) { return l.Dial("tcp", address, done) })
	require.ErrorIs(e, err, syscall.ECONNREFUSED)
	e.noHandles()
}

func dialTimeout(e *env) {
	l := e.start()
	address := e.deafServer().AddrPort().String()
	const d = 10 * time.Millisecond
	begin := time.Now()
	err := dials(e, func(done func(*proactor.Conn, error)) (op.Ticket, error) {
		return l.DialTimeout("tcp", address, d, done)
	})
	require.ErrorIs(e, err, os.ErrDeadlineExceeded)
	require.GreaterOrEqual(e, time.Since(begin), d)
	e.noHandles()
}

func dialCancelled(e *env) {
	l := e.start()
	address := e.deafServer().AddrPort().String()
	err := dials(e, func(done func(*proactor.Conn, error)) (op.Ticket, error) {
		t, err := l.Dial("tcp", address, done)
		e.settle()
		require.True(e, l.Cancel(t))
		return t, err
	})
	require.ErrorIs(e, err, op.ErrCanceled)
}

func badAddresses(e *env) {
	l := e.start()
	never := func(*proactor.Conn, error) { e.Error("a callback of a refused dial") }
	for _, x := range [][2]string{
		{"tcp", "localhost"}, {"tcp", "127.0.0.1"}, {"tcp4", "[::1]:80"}, {"tcp6", "127.0.0.1:80"},
		{"udp", "127.0.0.1:80"}, {"", ""}, {"unix", strings.Repeat("x", 200)},
	} {
		_, err := l.Dial(x[0], x[1], never)
		require.Error(e, err, x)
	}
	_, err := l.Listen("udp", "127.0.0.1:0")
	var unknown net.UnknownNetworkError
	require.ErrorAs(e, err, &unknown)
	e.settle()
}

// conn returns a Conn and its peer, a bare socket.
func (e *env) conn() (*proactor.Conn, int) {
	e.Helper()
	a, b := e.fds(unix.SOCK_STREAM)
	e.Cleanup(func() { unix.Close(b) })
	c, err := e.loop.NewConn(a)
	require.NoError(e, err)
	return c, b
}

func recvTimeout(e *env) {
	e.start()
	c, peer := e.conn()
	buf := make([]byte, 8)
	recv := func(f func(int, error)) (op.Ticket, error) { return c.Recv(buf, f) }
	c.SetRecvTimeout(time.Millisecond)
	_, err := counted(e, recv)
	require.ErrorIs(e, err, os.ErrDeadlineExceeded)
	c.SetRecvTimeout(0)
	unix.Write(peer, []byte("x")) // the connection is fine
	n, err := counted(e, recv)
	require.NoError(e, err)
	require.Equal(e, 1, n)
}

func sendTimeout(e *env) {
	e.start()
	c, _ := e.conn()
	c.SetSendTimeout(5 * time.Millisecond)
	data := make([]byte, 8<<20)
	n, err := counted(e, func(f func(int, error)) (op.Ticket, error) { return c.Send(data, f) })
	require.ErrorIs(e, err, os.ErrDeadlineExceeded)
	require.Positive(e, n)
	require.Less(e, n, len(data))
	c.SetSendTimeout(0)
	_, err = counted(e, func(f func(int, error)) (op.Ticket, error) { return c.Send(data[:1], f) })
	require.ErrorIs(e, err, op.ErrTorn)
}

func sendBuffers(e *env) {
	e.start()
	c, peer := e.conn()
	n, err := counted(e, func(f func(int, error)) (op.Ticket, error) {
		return c.SendBuffers([][]byte{[]byte("ab"), nil, []byte("c"), []byte("def")}, f)
	})
	require.NoError(e, err)
	require.Equal(e, 6, n)
	b := make([]byte, 16)
	n, err = unix.Read(peer, b)
	require.NoError(e, err)
	require.Equal(e, "abcdef", string(b[:n]))
}

func closeWrite(e *env) {
	e.start()
	c, fd := e.conn()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	peer := e.netConn(dup)
	_, err = c.Send([]byte("last"), nil)
	require.NoError(e, err)
	require.NoError(e, plain(e, func(done func(error)) error {
		_, err := c.CloseWrite(done)
		return err
	}))
	all, err := io.ReadAll(peer)
	require.NoError(e, err)
	require.Equal(e, "last", string(all))
	_, err = peer.Write([]byte("answer")) // the other half is open
	require.NoError(e, err)
	buf := make([]byte, 16)
	n, err := counted(e, func(f func(int, error)) (op.Ticket, error) { return c.Recv(buf, f) })
	require.NoError(e, err)
	require.Equal(e, "answer", string(buf[:n]))
}

func addressInUse(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	before := Descriptors()
	_, err = l.Listen("tcp4", ln.Addr().String())
	require.ErrorIs(e, err, syscall.EADDRINUSE)
	e.sameDescriptors(before)
}
