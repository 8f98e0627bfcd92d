//go:build linux

package optest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// eachTests hold an engine to the rules where operations are multishot and the
// memory is chosen at completion.
var eachTests = []test{
	{"Rule01_RecvEachHasOneFinalCallbackAfterAnyNumberOfOthers", recvEachEndsOnce},
	{"Rule01_AcceptEachAcceptsAllAndEndsOnce", acceptEachEndsOnce},
	{"Rule03_AOneShotBehindAMultishotWaitsForItsEnd", oneShotBehindMultishot},
	{"Rule04_ABufferOutlivesItsLoop", bufferOutlivesLoop},
	{"Rule04_ABufferReleasedTwicePanics", doubleReleasePanics},
	{"Rule04_ASendReleasesItsBufferHoweverItEnds", sendReleasesBuffer},
	{"Rule05_RecvEachEndsWithEOF", recvEachEOF},
	{"Rule06_CancelEndsRecvEachAndLosesNothing", cancelRecvEach},
	{"Rule06_TheDeadlineOfRecvEachIsAnIdleTimeout", recvEachIdleTimeout},
	{"Rule06_PauseHoldsBackAndResumeGoesOn", pauseAndResume},
	{"Rule07_CloseEndsRecvEachAndThePeerSeesIt", closeEndsRecvEach},
	{"Rule10_AnIdleRecvEachHoldsNoBuffer", idleHoldsNoBuffer},
	{"Rule10_OneBufferReleasedElsewhereWakesTheStarved", releaseWakesStarved},
	{"Rule10_StarvedHandlesGoOnInTheirOrder", starvedInOrder},
	{"Rule10_ASlowReaderWithAFullQuotaLeavesBuffersForOthers", slowReaderQuota},
	{"Rule10_AParserThatKeepsPartialMessages", parserKeepsPartial},
	{"Rule10_WaterMarksStopAPeerThatNeverReads", waterMarks},
	{"Rule13_TheEndRightBehindDataIsSeen", endBehindData},
	{"Rule13_RecvEachOnAPipe", recvEachPipe},
	{"Rule13_RecvEachOnAFileIsRefused", recvEachFile},
}

// piece is one callback of RecvEach.
type piece struct {
	buf  *op.Buffer
	more bool
	err  error
}

// recvEach submits a RecvEach whose callbacks go to the channel.
func (e *env) recvEach(h op.Target, prepare ...func(*op.Op)) (chan piece, op.Ticket, *op.Op) {
	e.Helper()
	c := make(chan piece, 10_000)
	o := &op.Op{}
	o.Done = func(o *op.Op) {
		_, err := o.Result()
		c <- piece{o.Buffer(), o.More(), err}
	}
	o.RecvEach(h)
	for _, f := range prepare {
		f(o)
	}
	t, err := e.loop.Submit(o)
	require.NoError(e, err)
	return c, t, o
}

// collect receives until n bytes have come, and releases the Buffers.
func (e *env) drain(c chan piece, n int) (all []byte) {
	e.Helper()
	for len(all) < n {
		p := await(e, c)
		require.NoError(e, p.err)
		require.True(e, p.more)
		all = append(all, p.buf.Bytes()...)
		p.buf.Release()
	}
	return all
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func write(e *env, c net.Conn, b []byte) {
	e.Helper()
	_, err := c.Write(b)
	require.NoError(e, err)
}

func recvEachEndsOnce(e *env) {
	e.start(proactor.WithBuffers(4, 512))
	h, peer := e.pair()
	c, _, o := e.recvEach(h)
	data := random(100_000)
	go func() { _, _ = peer.Write(data); peer.Close() }()
	require.True(e, bytes.Equal(data, e.drain(c, len(data))))
	last := await(e, c)
	require.Equal(e, piece{nil, false, io.EOF}, last)
	e.settle()
	require.Empty(e, c, "a callback after the final one")
	require.False(e, o.InFlight())
}

// Both come while the loop is busy, so that the kernel may take them for one event.
func endBehindData(e *env) {
	e.start()
	tcp := func() (*op.Handle, net.Conn) { return e.tcpPair() }
	for _, x := range []struct {
		name string
		pair func() (*op.Handle, net.Conn)
		end  func(net.Conn)
		want error
	}{
		{"FIN", tcp, func(net.Conn) {}, io.EOF},
		{"reset", tcp, func(c net.Conn) { require.NoError(e, c.(*net.TCPConn).SetLinger(0)) }, unix.ECONNRESET},
		{"unix", e.pair, func(net.Conn) {}, io.EOF},
	} {
		for range 5 {
			h, peer := x.pair()
			c, _, _ := e.recvEach(h)
			write(e, peer, []byte("first"))
			e.drain(c, 5)
			e.onLoop(func() {
				write(e, peer, []byte("last"))
				x.end(peer)
				require.NoError(e, peer.Close())
			})
			require.Equal(e, "last", string(e.drain(c, 4)), x.name)
			require.ErrorIs(e, await(e, c).err, x.want, x.name)
		}
	}
}

func acceptEachEndsOnce(e *env) {
	e.start()
	ln, err := e.loop.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	c := make(chan piece, 100)
	fds := make(chan int, 100)
	o := &op.Op{}
	o.Done = func(o *op.Op) {
		fd, err := o.Result()
		if err == nil {
			fds <- fd
		}
		c <- piece{nil, o.More(), err}
	}
	t, err := e.loop.Submit(o.AcceptEach(ln))
	require.NoError(e, err)
	for range 20 {
		peer, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(e, err)
		require.Equal(e, piece{nil, true, nil}, await(e, c))
		op.CloseFD(<-fds)
		peer.Close()
	}
	require.True(e, e.loop.Cancel(t))
	require.Equal(e, piece{nil, false, op.ErrCanceled}, await(e, c))
	e.settle()
	require.Empty(e, c)
}

func oneShotBehindMultishot(e *env) {
	e.start()
	h, peer := e.pair()
	c, t, _ := e.recvEach(h)
	one, done := into(1)
	buf := make([]byte, 10)
	_, err := e.loop.Submit((&op.Op{Done: done}).Recv(h, buf))
	require.NoError(e, err)
	write(e, peer, []byte("first"))
	require.Equal(e, "first", string(e.drain(c, 5)))
	require.Empty(e, one)
	require.True(e, e.loop.Cancel(t))
	require.ErrorIs(e, await(e, c).err, op.ErrCanceled)
	write(e, peer, []byte("second"))
	r := await(e, one)
	require.NoError(e, r.err)
	require.Equal(e, "second", string(buf[:r.n]))
}

func bufferOutlivesLoop(e *env) {
	e.start()
	h, peer := e.pair()
	c, _, _ := e.recvEach(h)
	write(e, peer, []byte("kept"))
	p := await(e, c)
	require.NoError(e, e.loop.Close())
	require.ErrorIs(e, await(e, c).err, net.ErrClosed)
	require.Equal(e, "kept", string(p.buf.Bytes()))
	require.Equal(e, "kept", string(p.buf.Copy()))
	p.buf.Release()
}

func doubleReleasePanics(e *env) {
	e.start()
	h, peer := e.pair()
	c, _, _ := e.recvEach(h)
	write(e, peer, []byte("x"))
	p := await(e, c)
	p.buf.Release()
	require.PanicsWithValue(e, "proactor: Buffer released twice", p.buf.Release)
}

func sendReleasesBuffer(e *env) {
	e.start(proactor.WithBuffers(2, 4096))
	h, peer := e.pair()
	c, _, _ := e.recvEach(h)
	ended, done := into(10)
	for range 20 { // each takes one of two: kept ones would starve the receive
		write(e, peer, []byte("there and back"))
		p := await(e, c)
		_, err := e.loop.Submit((&op.Op{Done: done}).SendBuffer(h, p.buf))
		require.NoError(e, err)
		require.NoError(e, await(e, ended).err)
		b := make([]byte, 14)
		_, err = io.ReadFull(peer, b)
		require.NoError(e, err)
	}
	write(e, peer, []byte("x"))
	p := await(e, c)
	x, y := e.pair()
	y.Close()
	_, err := e.loop.Submit((&op.Op{Done: done}).SendBuffer(x, p.buf))
	require.NoError(e, err)
	require.ErrorIs(e, await(e, ended).err, unix.EPIPE)
	require.Panics(e, p.buf.Release, "the failed send has released it")
}

func recvEachEOF(e *env) {
	e.start()
	h, peer := e.pair()
	peer.Close()
	c, _, _ := e.recvEach(h)
	require.Equal(e, piece{nil, false, io.EOF}, await(e, c))
}

func cancelRecvEach(e *env) {
	e.start(proactor.WithBuffers(8, 256))
	h, peer := e.pair()
	data := random(64 << 10)
	go func() { _, _ = peer.Write(data) }()
	var got []byte
	for len(got) < len(data) {
		c, t, _ := e.recvEach(h)
		first := await(e, c)
		e.loop.Cancel(t)
		for p := first; ; p = await(e, c) {
			if p.buf != nil {
				got = append(got, p.buf.Bytes()...)
				p.buf.Release()
			}
			if !p.more {
				require.ErrorIs(e, p.err, op.ErrCanceled)
				break
			}
		}
	}
	require.True(e, bytes.Equal(data, got))
}

func recvEachIdleTimeout(e *env) {
	e.start()
	h, peer := e.pair()
	const idle = 50 * time.Millisecond
	begin := time.Now()
	c, _, _ := e.recvEach(h, func(o *op.Op) { o.SetTimeout(idle) })
	pieces := 0
	for ; time.Since(begin) < 3*idle; pieces++ { // longer than the time-out, but never idle
		write(e, peer, []byte{1})
		p := await(e, c)
		if p.err != nil {
			break // a slow machine: the pause was longer than it looks
		}
		p.buf.Release()
	}
	require.NotZero(e, pieces)
	for p := range c {
		if !p.more {
			require.ErrorIs(e, p.err, os.ErrDeadlineExceeded)
			break
		}
		p.buf.Release()
	}
	require.GreaterOrEqual(e, time.Since(begin), idle)
}

func pauseAndResume(e *env) {
	e.start()
	h, peer := e.pair()
	c, t, _ := e.recvEach(h)
	write(e, peer, []byte("a"))
	require.Equal(e, "a", string(e.drain(c, 1)))
	for range 20 {
		e.loop.Pause(t)
		e.settle()
		e.settle()
		write(e, peer, []byte("bc"))
		e.settle()
		// What was under way when it was paused may still come; then nothing.
		under := len(c)
		require.LessOrEqual(e, under, 1)
		e.loop.Resume(t)
		require.Equal(e, "bc", string(e.drain(c, 2)))
	}
	e.loop.Pause(t)
	require.True(e, e.loop.Cancel(t))
	require.ErrorIs(e, await(e, c).err, op.ErrCanceled)
}

func closeEndsRecvEach(e *env) {
	e.start()
	h, peer := e.tcpPair()
	c, _, _ := e.recvEach(h)
	e.settle()
	_, err := e.do(func(o *op.Op) *op.Op { return o.Close(h, -1) })
	require.NoError(e, err)
	require.Len(e, c, 1, "its callback came before Close's")
	require.Equal(e, piece{nil, false, net.ErrClosed}, await(e, c))
	_, err = peer.Read(make([]byte, 1))
	require.Equal(e, io.EOF, err)
}

func recvEachPipe(e *env) {
	e.start()
	r, w, err := os.Pipe()
	require.NoError(e, err)
	defer w.Close()
	fd, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(e, err)
	r.Close()
	h, err := e.loop.Register(fd)
	require.NoError(e, err)
	c, _, _ := e.recvEach(h)
	for range 10 {
		_, err = w.WriteString("pipe")
		require.NoError(e, err)
		require.Equal(e, "pipe", string(e.drain(c, 4)))
	}
	w.Close()
	require.Equal(e, piece{nil, false, io.EOF}, await(e, c))
}

func recvEachFile(e *env) {
	e.start()
	for _, name := range []string{os.Args[0], "/dev/zero"} {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(e, err)
		h, err := e.loop.Register(fd)
		require.NoError(e, err)
		c, t, _ := e.recvEach(h)
		p := await(e, c)
		if name == "/dev/zero" { // endless: readable without readiness, where that is possible
			e.loop.Cancel(t)
			for ; p.more; p = await(e, c) {
				p.buf.Release()
			}
			continue
		}
		require.ErrorIs(e, p.err, unix.EOPNOTSUPP)
	}
}
