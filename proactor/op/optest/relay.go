//go:build linux

package optest

import (
	"bytes"
	"io"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var relayTests = []test{
	{"Relay_BothDirectionsEndInEveryOrder", relayOrders},
	{"Relay_ASlowReaderHoldsTheWriterBack", relaySlow},
	{"Relay_AnErrorEndsItWithoutAnEndOfTheStream", relayError},
	{"Relay_AReaderThatLeavesEndsIt", relayBroken},
	{"Relay_CancelAndClose", relayCancel},
	{"Relay_TimeoutsHold", relayTimeout},
	{"Relay_NoPipeIsLeft", relayLeaks},
	{"Relay_OnlyStreamsOfOneLoop", relayLoops},
}

// relayed is what the callback of a Pipe was given.
type relayed struct {
	n   int64
	err error
}

// tcpConn is a connection of the loop and its peer.
func (e *env) tcpConn() (*proactor.Conn, *net.TCPConn) {
	e.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	defer ln.Close()
	type dialed struct {
		c   *proactor.Conn
		err error
	}
	got := make(chan dialed, 1)
	_, err = e.loop.Dial("tcp", ln.Addr().String(), func(c *proactor.Conn, err error) { got <- dialed{c, err} })
	require.NoError(e, err)
	peer, err := ln.Accept()
	require.NoError(e, err)
	e.Cleanup(func() { peer.Close() })
	require.NoError(e, peer.SetDeadline(time.Now().Add(patience)))
	d := await(e, got)
	require.NoError(e, d.err)
	return d.c, peer.(*net.TCPConn)
}

// narrowConn is a tcpConn that holds little on its way, but not so little that it
// crawls.
func (e *env) narrowConn() (*proactor.Conn, *net.TCPConn) {
	e.Helper()
	c, peer := e.tcpConn()
	require.NoError(e, c.SetReadBuffer(64<<10))
	require.NoError(e, c.SetWriteBuffer(64<<10))
	require.NoError(e, peer.SetReadBuffer(64<<10))
	require.NoError(e, peer.SetWriteBuffer(64<<10))
	return c, peer
}

// relay returns two peers between whom the loop relays both directions.
func (e *env) relay(conn func() (*proactor.Conn, *net.TCPConn)) (a, b *net.TCPConn, ab, ba chan relayed) {
	e.Helper()
	x, a := conn()
	y, b := conn()
	ab, ba = make(chan relayed, 2), make(chan relayed, 2)
	_, err := proactor.Pipe(y, x, func(n int64, err error) { ab <- relayed{n, err} })
	require.NoError(e, err)
	_, err = proactor.Pipe(x, y, func(n int64, err error) { ba <- relayed{n, err} })
	require.NoError(e, err)
	return a, b, ab, ba
}

func relayOrders(e *env) {
	e.start()
	for _, firstA := range []bool{true, false} {
		a, b, ab, ba := e.relay(e.tcpConn)
		first, second, one, other := a, b, ab, ba
		if !firstA {
			first, second, one, other = b, a, ba, ab
		}
		there, back := pattern(0, 3<<20), pattern(9, 2<<20)
		got := make(chan []byte, 1)
		go func() { x, _ := io.ReadAll(second); got <- x }()
		e.write(first, there)
		require.NoError(e, first.CloseWrite())
		requireSame(e, there, await(e, got)) // the end has come through
		require.Equal(e, relayed{int64(len(there)), nil}, await(e, one))
		require.Empty(e, other, "the other direction has ended, too")
		go func() { _, _ = second.Write(back); second.Close() }()
		requireSame(e, back, e.readRest(first))
		require.Equal(e, relayed{int64(len(back)), nil}, await(e, other))
	}
	a, b, ab, ba := e.relay(e.tcpConn) // nothing at all
	require.NoError(e, a.CloseWrite())
	require.NoError(e, b.CloseWrite())
	require.Empty(e, e.readRest(a))
	require.Empty(e, e.readRest(b))
	require.Equal(e, relayed{0, nil}, await(e, ab))
	require.Equal(e, relayed{0, nil}, await(e, ba))
}

func relaySlow(e *env) {
	e.start()
	a, b, ab, _ := e.relay(e.narrowConn)
	data := pattern(0, sent)
	wrote := make(chan struct{})
	go func() { _, _ = a.Write(data); _ = a.CloseWrite(); close(wrote) }()
	requireSame(e, data[:4096], e.read(b, 4096)) // it has begun
	held := int64(0)
	require.Eventually(e, func() bool { // it comes to rest
		before := held
		held = unacknowledged(e, a)
		return held > 0 && held == before
	}, patience, 20*time.Millisecond)
	select {
	case <-wrote:
		e.Fatal("the writer was not held back")
	default:
	}
	requireSame(e, data[4096:], e.readRest(b))
	require.Equal(e, relayed{int64(len(data)), nil}, await(e, ab))
	await(e, wrote)
}

// unacknowledged is how many bytes a socket still has to send.
func unacknowledged(e *env, c *net.TCPConn) int64 {
	e.Helper()
	raw, err := c.SyscallConn()
	require.NoError(e, err)
	n := 0
	require.NoError(e, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }))
	require.NoError(e, err)
	return int64(n)
}

func relayError(e *env) {
	e.start()
	a, b, ab, _ := e.relay(e.tcpConn)
	e.write(a, []byte("x"))
	requireSame(e, []byte("x"), e.read(b, 1))
	require.NoError(e, a.SetLinger(0)) // a reset
	a.Close()
	got := await(e, ab)
	require.ErrorIs(e, got.err, unix.ECONNRESET)
	require.EqualValues(e, 1, got.n)
	require.NoError(e, b.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
	_, err := b.Read(make([]byte, 1))
	require.ErrorIs(e, err, os.ErrDeadlineExceeded, "a part was passed for the whole")
}

func relayBroken(e *env) {
	e.start()
	a, b, ab, _ := e.relay(e.tcpConn)
	require.NoError(e, b.SetLinger(0))
	b.Close()
	go func() { _, _ = a.Write(pattern(0, sent)) }()
	got := await(e, ab)
	require.Error(e, got.err)
	require.NotErrorIs(e, got.err, io.EOF)
}

func relayCancel(e *env) {
	e.start()
	x, peer := e.tcpConn()
	y, to := e.tcpConn()
	got := make(chan relayed, 2)
	pipe := func() *proactor.Relay {
		r, err := proactor.Pipe(y, x, func(n int64, err error) { got <- relayed{n, err} })
		require.NoError(e, err)
		return r
	}
	r := pipe()
	e.settle()
	r.Cancel()
	require.Equal(e, relayed{0, op.ErrCanceled}, await(e, got))
	r = pipe() // the connections are as they were
	e.write(peer, []byte("abc"))
	requireSame(e, []byte("abc"), e.read(to, 3))
	require.Eventually(e, func() bool { return r.Moved() == 3 }, patience, time.Millisecond)
	require.NoError(e, x.Close(nil))
	require.Equal(e, relayed{3, net.ErrClosed}, await(e, got))
	require.Empty(e, got)
	_, err := proactor.Pipe(y, x, func(int64, error) { e.Error("a callback of what was refused") })
	require.ErrorIs(e, err, net.ErrClosed)
}

func relayTimeout(e *env) {
	e.start()
	x, peer := e.tcpConn()
	y, _ := e.narrowConn()
	got := make(chan relayed, 2)
	pipe := func() {
		_, err := proactor.Pipe(y, x, func(n int64, err error) { got <- relayed{n, err} })
		require.NoError(e, err)
	}
	x.SetRecvTimeout(time.Millisecond)
	pipe()
	require.Equal(e, relayed{0, os.ErrDeadlineExceeded}, await(e, got))
	x.SetRecvTimeout(0)
	y.SetSendTimeout(20 * time.Millisecond)
	go func() { _, _ = peer.Write(bytes.Repeat([]byte("x"), 2*sent)) }() // nobody reads
	pipe()
	r := await(e, got)
	require.ErrorIs(e, r.err, os.ErrDeadlineExceeded)
	require.Positive(e, r.n)
}

func relayLeaks(e *env) {
	before := Descriptors()
	l := e.start()
	for range 5 {
		a, b, ab, ba := e.relay(e.tcpConn)
		go func() { _, _ = a.Write(pattern(0, sent)) }()
		e.read(b, 100)
		a.Close()
		b.Close() // with data on the way
		await(e, ab)
		await(e, ba)
	}
	a, b, _, _ := e.relay(e.tcpConn)
	go func() { _, _ = a.Write(pattern(0, sent)) }()
	e.read(b, 100)
	require.NoError(e, l.Close()) // in the midst of it
	a.Close()
	b.Close()
	e.sameDescriptors(before)
}

func relayLoops(e *env) {
	e.start()
	x, _ := e.tcpConn()
	other := e.another()
	a, b := e.fds(unix.SOCK_STREAM)
	e.keep(b)
	y, err := other.NewConn(a)
	require.NoError(e, err)
	_, err = proactor.Pipe(y, x, func(int64, error) { e.Error("a callback of what was refused") })
	require.ErrorContains(e, err, "two loops")
	m, n := e.unixConns(unix.SOCK_SEQPACKET)
	_, err = proactor.Pipe(m, n, func(int64, error) { e.Error("a callback of what was refused") })
	require.ErrorContains(e, err, "bounds of messages")
}
