//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	name := "@go-proactor-optest-" + strings.ReplaceAll(e.TempDir(), "/", "-")[1:40]
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
		{"tcp", "localhost:80"}, {"tcp", "127.0.0.1"}, {"tcp4", "[::1]:80"}, {"tcp6", "127.0.0.1:80"},
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

func connCloseIsLast(e *env) {
	e.start()
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
	require.Len(e, all, len(data))
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
	require.ErrorIs(e, await(e, a.errs), net.ErrClosed)
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

func descriptorFlags(e *env) {
	l := e.start()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	client, server := connects(e, ln, "tcp4", ln.Addr().String())
	f := openFile(e, filepath.Join(e.TempDir(), "new"), unix.O_RDWR|unix.O_CREAT)
	for name, fd := range map[string]int{"listener": ln.FD(), "client": client.FD(), "server": server.FD(), "file": f.FD()} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(e, err)
		require.NotZero(e, flags&unix.FD_CLOEXEC, "%s is not close-on-exec", name)
	}
	for _, c := range []*proactor.Conn{client, server} {
		v, err := unix.GetsockoptInt(c.FD(), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		require.NoError(e, err)
		require.Equal(e, 1, v, "TCP_NODELAY")
	}
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

// openFile opens a file that must open.
func openFile(e *env, path string, flags int) (f *proactor.File) {
	e.Helper()
	require.NoError(e, plain(e, func(done func(error)) error {
		_, err := e.loop.OpenFile(path, flags, 0o600, func(g *proactor.File, err error) {
			f = g
			done(err)
		})
		return err
	}))
	return f
}

func fileRoundTrip(e *env) {
	e.start()
	path := filepath.Join(e.TempDir(), "new")
	f := openFile(e, path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	require.Equal(e, path, f.Name())
	n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteAt([]byte("hello"), 3, d) })
	require.NoError(e, err)
	require.Equal(e, 5, n)
	size, err := f.Size()
	require.NoError(e, err)
	require.EqualValues(e, 8, size)
	for _, dataOnly := range []bool{false, true} {
		require.NoError(e, plain(e, func(done func(error)) error {
			_, err := f.Sync(dataOnly, done)
			return err
		}))
	}
	b := make([]byte, 16)
	n, err = counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(b, 0, d) })
	require.Equal(e, io.EOF, err)
	require.Equal(e, "\x00\x00\x00hello", string(b[:n]))
	_, err = f.ReadAt(b, -1, nil)
	require.ErrorIs(e, err, op.ErrInvalid)
	require.NoError(e, plain(e, f.Close))
	got, err := os.ReadFile(path)
	require.NoError(e, err)
	require.Equal(e, "\x00\x00\x00hello", string(got))
	info, err := os.Stat(path)
	require.NoError(e, err)
	require.Zero(e, info.Mode().Perm()&^0o600)
	e.inFlight(0)
	require.Zero(e, e.loop.Stats().Calls, "a refused call is free again")
}

func fileMissing(e *env) {
	l := e.start()
	dir := e.TempDir()
	open := func(path string, flags int) error {
		return plain(e, func(done func(error)) error {
			_, err := l.OpenFile(path, flags, 0o600, func(f *proactor.File, err error) {
				require.Nil(e, f)
				done(err)
			})
			return err
		})
	}
	require.ErrorIs(e, open(filepath.Join(dir, "none"), os.O_RDONLY), os.ErrNotExist)
	require.ErrorIs(e, open(dir, os.O_RDWR), syscall.EISDIR)
	require.ErrorIs(e, open(dir, os.O_RDWR|os.O_CREATE|os.O_EXCL), os.ErrExist)
	_, err := l.OpenFile("a\x00b", os.O_RDONLY, 0, func(*proactor.File, error) {})
	require.ErrorIs(e, err, op.ErrInvalid)
}

// A file's Close lets what was submitted before it complete.
func fileClosed(e *env) {
	e.start()
	f := openFile(e, filepath.Join(e.TempDir(), "new"), os.O_RDWR|os.O_CREATE)
	at := link(f.FD())
	var log []string
	for range 10 {
		_, err := f.WriteAt(make([]byte, 1<<16), 0, func(n int, err error) {
			require.NoError(e, err)
			log = append(log, "write")
		})
		require.NoError(e, err)
	}
	require.NoError(e, plain(e, func(done func(error)) error {
		return f.Close(func(err error) {
			log = append(log, "close")
			done(err)
		})
	}))
	require.Len(e, log, 11)
	require.Equal(e, "close", log[10])
	e.closed(at)
	_, err := f.ReadAt(make([]byte, 1), 0, nil)
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = f.Sync(true, nil)
	require.ErrorIs(e, err, net.ErrClosed)
	_, err = f.Size()
	require.Error(e, err)
	require.ErrorIs(e, f.Close(nil), net.ErrClosed)
}

func timers(e *env) {
	l := e.start()
	const d = 5 * time.Millisecond
	begin := time.Now()
	require.NoError(e, plain(e, func(done func(error)) error {
		_, err := l.After(d, done)
		return err
	}))
	require.GreaterOrEqual(e, time.Since(begin), d, "it ran early")
	ended := make(chan error, 1)
	t, err := l.After(time.Hour, func(err error) { ended <- err })
	require.NoError(e, err)
	require.True(e, t.Stop())
	require.ErrorIs(e, await(e, ended), op.ErrCanceled)
	require.False(e, t.Stop())
	var order []int
	for _, ms := range []int{3, 1, 2} {
		_, err := l.After(time.Duration(ms)*time.Millisecond, func(error) {
			if order = append(order, ms); len(order) == 3 {
				ended <- nil
			}
		})
		require.NoError(e, err)
	}
	require.NoError(e, await(e, ended))
	require.Len(e, order, 3)
}

func timerAtClose(e *env) {
	l := e.start()
	e.settle()
	var end error
	t, err := l.After(time.Hour, func(err error) { end = err })
	require.NoError(e, err)
	require.NoError(e, l.Close())
	require.ErrorIs(e, end, net.ErrClosed)
	require.False(e, t.Stop())
}
