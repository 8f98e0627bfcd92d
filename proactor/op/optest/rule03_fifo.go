//go:build linux

package optest

import (
	"io"
	"net"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule03 = []test{
	{"Rule03_SendsGoOutInOrder", rule03Sends},
	{"Rule03_SendsGoOutInOrderOverTCP", rule03SendsTCP},
	{"Rule03_SendsGoOutInOrderThroughAPipe", rule03SendsPipe},
	{"Rule03_ReceivesAreFilledInOrder", rule03Receives},
	{"Rule03_ReceivesFromAPipeAreFilledInOrder", rule03ReceivesPipe},
	{"Rule03_AcceptsAreServedInOrder", rule03Accepts},
	{"Rule03_AVectorOfManyAndEmptySlicesGoesOutInOrder", rule03Vectors},
	{"Rule03_AVectorOfManyAndEmptySlicesIsFilledInOrder", rule03ReceiveVectors},
	{"Rule03_AShutdownTakesItsTurnBehindTheSends", rule03Shutdown},
	{"Rule03_WhatIsQueuedBehindAConnectWaitsForIt", rule03Connect},
	{"Rule03_TheDirectionsDoNotWaitForEachOther", rule03Directions},
	{"Rule03_ASendCancelledInLineLeavesNoGap", rule03CancelInLine},
}

func rule03Sends(e *env) {
	e.start()
	h, peer := e.narrowPair()
	sendsInOrder(e, h, peer)
}

func rule03SendsTCP(e *env) {
	e.start()
	h, peer := e.narrowTCP()
	sendsInOrder(e, h, peer)
}

func rule03SendsPipe(e *env) {
	e.start()
	h, peer := e.pipe(false)
	sendsInOrder(e, h, peer)
}

// sequence notes the order in which numbered operations complete.
type sequence struct {
	order []int // the loop goroutine's
	ended chan result
}

func newSequence(n int) *sequence { return &sequence{ended: make(chan result, 2*n)} }

// next returns a new operation of the sequence.
func (s *sequence) next(i int) *op.Op {
	return &op.Op{Done: func(o *op.Op) {
		n, err := o.Result()
		s.order = append(s.order, i)
		s.ended <- result{n, err}
	}}
}

// wait waits for n results, and requires them to have come in order.
func (s *sequence) wait(e *env, n int) (all []result) {
	e.Helper()
	for range n {
		all = append(all, await(e, s.ended))
	}
	e.onLoop(func() {})
	require.Len(e, s.order, n)
	require.IsIncreasing(e, append([]int{-1}, s.order...), "order of the callbacks")
	return all
}

// sendOf prepares a send of n bytes of the pattern, as one buffer or several.
func sendOf(o *op.Op, h *op.Handle, at, n int, vector bool) *op.Op {
	b := pattern(at, n)
	if vector {
		return o.Sendv(h, [][]byte{b[:n/3], nil, b[n/3 : n/2], b[n/2:]})
	}
	return o.Send(h, b)
}

func sendsInOrder(e *env, h *op.Handle, peer interface{ Read([]byte) (int, error) }) {
	e.Helper()
	const n = 250
	s := newSequence(n)
	var sizes []int
	at := 0
	for i := range n {
		size := 1 + i*37%400
		if i%20 == 0 {
			size = 20_000
		}
		e.put(sendOf(s.next(i), h, at, size, i%3 == 1))
		sizes, at = append(sizes, size), at+size
	}
	e.settle()
	require.Less(e, len(s.ended), n, "the reader is not slow: nothing waits")
	requireSame(e, pattern(0, at), e.read(peer, at))
	for i, r := range s.wait(e, n) {
		require.Equal(e, result{sizes[i], nil}, r, "send %d", i)
	}
}

func rule03Receives(e *env) {
	e.start()
	h, peer := e.pair()
	receivesInOrder(e, h, peer)
}

func rule03ReceivesPipe(e *env) {
	e.start()
	h, peer := e.pipe(true)
	receivesInOrder(e, h, peer)
}

func receivesInOrder(e *env, h *op.Handle, peer interface {
	Write([]byte) (int, error)
	Close() error
}) {
	e.Helper()
	const n, total = 400, 20_000
	s := newSequence(n)
	bufs := make([][]byte, n)
	for i := range bufs {
		bufs[i] = make([]byte, 1+i*13%97)
		if o, b := s.next(i), bufs[i]; i%3 == 1 {
			e.put(o.Recvv(h, [][]byte{b[:len(b)/2], nil, b[len(b)/2:]}))
		} else {
			e.put(o.Recv(h, b))
		}
	}
	e.settle()
	require.Empty(e, s.ended)
	for at, step := 0, 1; at < total; step = step%700 + 13 {
		m := min(step, total-at)
		e.write(peer, pattern(at, m))
		at += m
		if at%4 == 0 {
			e.settle() // some find a part of it, some all
		}
	}
	require.NoError(e, peer.Close())
	var got []byte
	ended := false
	for i, r := range s.wait(e, n) {
		ended = ended || r.err != nil
		if ended {
			require.Equal(e, result{0, io.EOF}, r, "receive %d", i)
			continue
		}
		require.Positive(e, r.n)
		got = append(got, bufs[i][:r.n]...)
	}
	requireSame(e, pattern(0, len(got)), got)
	require.True(e, !ended || len(got) == total, "the end came before the data")
}

func rule03Accepts(e *env) {
	e.start()
	const n = 40
	ln, name := e.listener()
	got := make(chan int, n)
	for range n {
		e.put((&op.Op{Done: func(o *op.Op) { fd, _ := o.Result(); got <- fd }}).Accept(ln))
	}
	e.settle()
	for i := range n {
		_, err := unix.Write(e.knock(name), []byte{byte(i)})
		require.NoError(e, err)
	}
	for i := range n {
		c := e.netConn(await(e, got))
		require.Equal(e, []byte{byte(i)}, e.read(c, 1))
	}
}

// pieces cuts the first n bytes of the pattern into more pieces than one system
// call takes, some of them empty.
func pieces(b []byte) (v [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := min(i%4, len(b))
		v = append(v, b[:n:n])
		b = b[n:]
	}
	return append(v, nil, []byte{})
}

func rule03Vectors(e *env) {
	e.start()
	h, peer := e.pair()
	data := pattern(0, 6000)
	v := pieces(data)
	require.Greater(e, len(v), 3*1024)
	v = append(make([][]byte, 2000), v...) // nothing but empty ones in the first call
	first, empty, second := newJob(), newJob(), newJob()
	e.put(first.Sendv(h, v))
	e.put(empty.Sendv(h, make([][]byte, 3000)))
	e.put(second.Sendv(h, [][]byte{pattern(6000, 500)}))
	requireSame(e, pattern(0, 6500), e.read(peer, 6500))
	first.waitFor(e, len(data), nil)
	empty.waitFor(e, 0, nil)
	second.waitFor(e, 500, nil)
}

func rule03ReceiveVectors(e *env) {
	e.start()
	h, peer := e.pair()
	got := make([]byte, 6000)
	v := append(make([][]byte, 2000), pieces(got)...)
	e.write(peer, pattern(0, len(got)))
	j := newJob()
	for at := 0; at < len(got); {
		e.put(j.Recvv(h, rest(v, at)))
		n, err := j.wait(e)
		require.NoError(e, err)
		require.Positive(e, n)
		at += n
	}
	requireSame(e, pattern(0, len(got)), got)
}

// rest returns v without its first n bytes, and with its empty slices.
func rest(v [][]byte, n int) (r [][]byte) {
	for _, b := range v {
		m := min(n, len(b))
		r = append(r, b[m:])
		n -= m
	}
	return r
}

func rule03Shutdown(e *env) {
	e.start()
	h, peer := e.narrowPair()
	const n = 50
	s := newSequence(n + 2)
	for i := range n {
		e.put(s.next(i).Send(h, pattern(i*1000, 1000)))
	}
	e.put(s.next(n).Shutdown(h, syscall.SHUT_WR))
	e.put(s.next(n+1).Send(h, []byte("too late")))
	e.settle()
	require.Less(e, len(s.ended), n, "the reader is not slow: nothing waits")
	requireSame(e, pattern(0, n*1000), e.readRest(peer))
	all := s.wait(e, n+2)
	require.Equal(e, result{0, nil}, all[n])
	require.ErrorIs(e, all[n+1].err, syscall.EPIPE)
}

func rule03Connect(e *env) {
	e.start()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	defer ln.Close()
	h := e.socketHandle(unix.AF_INET)
	s := newSequence(4)
	recv := newJob()
	e.onLoop(func() { // all at once, before the connection can be there
		e.put(s.next(0).Connect(h, tcpAddr(e, ln.Addr().(*net.TCPAddr).Port)))
		e.put(s.next(1).Send(h, pattern(0, 100)))
		e.put(s.next(2).Sendv(h, [][]byte{pattern(100, 50), pattern(150, 50)}))
		e.put(s.next(3).Shutdown(h, syscall.SHUT_WR))
	})
	c, err := ln.Accept()
	require.NoError(e, err)
	defer c.Close()
	require.NoError(e, c.SetDeadline(time.Now().Add(patience)))
	requireSame(e, pattern(0, 200), e.readRest(c))
	require.Equal(e, []result{{0, nil}, {100, nil}, {100, nil}, {0, nil}}, s.wait(e, 4))
	e.put(recv.Recv(h, make([]byte, 8)))
	e.write(c, []byte("abc"))
	recv.waitFor(e, 3, nil)
}

func rule03Directions(e *env) {
	e.start()
	h, peer := e.narrowPair()
	full := e.stuff(h)
	send, recv := newJob(), newJob()
	e.put(recv.Recv(h, make([]byte, 8)))
	e.put(send.Send(h, []byte("out")))
	send.stillPending(e)
	e.write(peer, []byte("in"))
	recv.waitFor(e, 2, nil)
	e.put(recv.Recv(h, make([]byte, 8)))
	e.read(peer, full)
	send.waitFor(e, 3, nil)
	require.Equal(e, []byte("out"), e.read(peer, 3))
	recv.stillPending(e)
}

func rule03CancelInLine(e *env) {
	e.start()
	h, peer := e.narrowPair()
	const n, size = 20, 3000
	full := e.stuff(h)
	jobs := make([]*job, n)
	tickets := make([]op.Ticket, n)
	for i := range jobs {
		jobs[i] = newJob()
		tickets[i] = e.put(jobs[i].Send(h, pattern(i*size, size)))
	}
	e.settle()
	var want []byte
	for i, t := range tickets {
		if i%3 == 1 {
			require.True(e, e.loop.Cancel(t))
			jobs[i].waitFor(e, 0, op.ErrCanceled)
		} else {
			want = append(want, pattern(i*size, size)...)
		}
	}
	e.read(peer, full)
	requireSame(e, want, e.read(peer, len(want)))
	for i, j := range jobs {
		if i%3 != 1 {
			j.waitFor(e, size, nil)
		}
	}
}
