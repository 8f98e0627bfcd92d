//go:build linux

package optest

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"time"
	"weak"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule04 = []test{
	{"Rule04_ABufferIsNotTouchedAfterACancel", rule04Cancel},
	{"Rule04_ABufferIsNotTouchedAfterADeadline", rule04Deadline},
	{"Rule04_ABufferIsNotTouchedAfterAClose", rule04Close},
	{"Rule04_ABufferIsNotTouchedAfterTheCallbackOfARacingCancel", rule04Race},
	{"Rule04_ACancelledSendNoLongerReadsItsBuffer", rule04Send},
	{"Rule04_WhatIsInFlightSurvivesTheGarbageCollector", rule04Collector},
	{"Rule04_WhatIsDoneIsForgotten", rule04Forgotten},
	{"Rule04_DataIsRightWhileTheGarbageCollectorRuns", rule04Storm},
}

// ended is a receive into filled buffers that was ended by end.
func ended(e *env, h *op.Handle, vector bool, end func(*job, op.Ticket), timeout time.Duration) ([]byte, error) {
	e.Helper()
	b, j := filled(64), newJob()
	if vector {
		j.Recvv(h, [][]byte{b[:32], b[32:]})
	} else {
		j.Recv(h, b)
	}
	if timeout > 0 {
		j.SetTimeout(timeout)
	}
	t := e.put(&j.Op)
	e.settle()
	end(j, t)
	n, err := j.wait(e)
	require.Zero(e, n)
	return b, err
}

// untouched requires that data which comes now lands in the next receive.
func untouched(e *env, h *op.Handle, peer io.Writer, b []byte) {
	e.Helper()
	next, into := newJob(), make([]byte, 8)
	e.put(next.Recv(h, into))
	e.write(peer, []byte("data"))
	next.waitFor(e, 4, nil)
	require.Equal(e, "data", string(into[:4]))
	requireSame(e, filled(64), b)
}

func rule04Cancel(e *env) {
	e.start()
	h, peer := e.pair()
	for i := range 20 {
		b, err := ended(e, h, i%2 == 1, func(_ *job, t op.Ticket) { require.True(e, e.loop.Cancel(t)) }, 0)
		require.ErrorIs(e, err, op.ErrCanceled)
		untouched(e, h, peer, b)
	}
}

func rule04Deadline(e *env) {
	e.start()
	h, peer := e.pair()
	for i := range 8 {
		b, err := ended(e, h, i%2 == 1, func(*job, op.Ticket) {}, 3*time.Millisecond)
		require.ErrorIs(e, err, os.ErrDeadlineExceeded)
		untouched(e, h, peer, b)
	}
}

func rule04Close(e *env) {
	e.start()
	for i := range 20 {
		h, peer := e.pair()
		keep, err := unix.FcntlInt(uintptr(h.FD()), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(e, err)
		closing := newJob()
		b, err := ended(e, h, i%2 == 1, func(*job, op.Ticket) { e.put(closing.Close(h, time.Hour)) }, 0)
		require.ErrorIs(e, err, net.ErrClosed)
		// The duplicate keeps the socket open, so the data does arrive in it.
		other, err := e.loop.Register(keep)
		require.NoError(e, err)
		untouched(e, other, peer, b)
		closing.waitFor(e, 0, nil)
	}
}

// What the callback saw in the buffer stays there, and whatever the outcome no
// byte is lost.
func rule04Race(e *env) {
	e.start()
	h, peer := e.barePair()
	for i := range many(600, 150) {
		b := filled(4)
		saw := make(chan []byte, 2)
		o := &op.Op{Done: func(o *op.Op) {
			n, _ := o.Result()
			saw <- append([]byte{byte(n)}, b...)
		}}
		t := e.put(o.Recv(h, b))
		if rand.IntN(2) == 0 {
			e.settle()
		}
		go e.loop.Cancel(t)
		_, err := unix.Write(peer, []byte{byte(i)})
		require.NoError(e, err)
		got := await(e, saw)
		if got[0] == 0 {
			next, into := newJob(), make([]byte, 4)
			e.put(next.Recv(h, into))
			next.waitFor(e, 1, nil)
			require.Equal(e, byte(i), into[0])
			require.Equal(e, filled(4), b, "the buffer of a receive that got nothing")
		}
		require.Equal(e, got[1:], b, "the buffer changed after the callback")
	}
}

func rule04Send(e *env) {
	e.start()
	for _, vector := range []bool{false, true} {
		h, peer := e.narrowPair()
		b := pattern(0, 1<<20)
		v := [][]byte{b[:100], b[100:]}
		got := make(chan result, 2)
		o := &op.Op{Done: func(o *op.Op) {
			n, err := o.Result()
			clear(b) // the buffer is the caller's again
			clear(v)
			got <- result{n, err}
		}}
		if o.Send(h, b); vector {
			o.Sendv(h, v)
		}
		t := e.put(o)
		e.settle()
		e.loop.Cancel(t)
		r := await(e, got)
		require.ErrorIs(e, r.err, op.ErrCanceled)
		e.abort(h)
		requireSame(e, pattern(0, r.n), e.readRest(peer))
	}
}

// orphan is what a test keeps of an operation that only the loop refers to.
type orphan struct {
	what string
	got  chan result // alive: the result; else an error says what was freed
	free func() bool // whether all of it has been freed
	wake func()      // makes the operation complete
	n    int         // the count it has to come to
}

const orphanSize = 4096

type orphanBuffer [orphanSize]byte

var errFreed = net.UnknownNetworkError("memory was freed while the kernel had it")

// adopt submits an operation with memory that fresh makes and right judges when
// it is done. The callback knows neither of them, except weakly.
//
//go:noinline
func adopt[T any](e *env, x orphan, fresh func() *T, right func(*T, int) bool, d func(*op.Op, *T) *op.Op) orphan {
	o, m, got := new(op.Op), fresh(), make(chan result, 2)
	wo, wm := weak.Make(o), weak.Make(m)
	o.Done = func(o *op.Op) {
		n, err := o.Result()
		if m := wm.Value(); m == nil || wo.Value() != o {
			err = errFreed
		} else if err == nil && !right(m, n) {
			err = io.ErrUnexpectedEOF
		}
		got <- result{n, err}
	}
	e.put(d(o, m))
	x.got, x.free = got, func() bool { return wo.Value() == nil && wm.Value() == nil }
	return x
}

func emptyBuffer() *orphanBuffer { return new(orphanBuffer) }

func fullBuffer() *orphanBuffer {
	b := new(orphanBuffer)
	copy(b[:], pattern(0, orphanSize))
	return b
}

func hasPattern(b *orphanBuffer, n int) bool { return slices.Equal(b[:n], pattern(0, n)) }

// orphans returns operations that wait for something, referred to by the loop
// alone, with all the memory they need.
func orphans(e *env) (all []orphan) {
	e.Helper()
	type buffer = orphanBuffer
	receive := func(x orphan, d func(*op.Op, *buffer) *op.Op) {
		all = append(all, adopt(e, x, emptyBuffer, hasPattern, d))
	}
	send := func(x orphan, d func(*op.Op, *buffer) *op.Op) {
		all = append(all, adopt(e, x, fullBuffer, hasPattern, d))
	}
	in, inv, line := e.orphanInput(), e.orphanInput(), e.orphanInput()
	receive(orphan{what: "recv", n: 100, wake: in.wake}, func(o *op.Op, b *buffer) *op.Op { return o.Recv(in.h, b[:100]) })
	receive(orphan{what: "recvv", n: 200, wake: inv.wake}, func(o *op.Op, b *buffer) *op.Op {
		return o.Recvv(inv.h, [][]byte{b[:50], nil, b[50:200]})
	})
	first := newJob()
	e.put(first.Recv(line.h, make([]byte, 1)))
	receive(orphan{what: "recv in line", n: 100, wake: func() {
		e.write(line.peer, []byte{1})
		first.waitFor(e, 1, nil)
		line.wake()
	}}, func(o *op.Op, b *buffer) *op.Op { return o.Recv(line.h, b[:100]) })
	out, outv := e.orphanOutput(), e.orphanOutput()
	send(orphan{what: "send", n: orphanSize, wake: out.wake}, func(o *op.Op, b *buffer) *op.Op { return o.Send(out.h, b[:]) })
	send(orphan{what: "sendv", n: orphanSize, wake: outv.wake}, func(o *op.Op, b *buffer) *op.Op {
		return o.Sendv(outv.h, [][]byte{b[:1000], nil, b[1000:]})
	})
	to, room := e.fullUnix()
	c := e.socketHandle(unix.AF_UNIX)
	return append(all, adopt(e, orphan{what: "connect", wake: room},
		func() *op.Sockaddr { return clone(to) },
		func(a *op.Sockaddr, _ int) bool { return *a == *to },
		func(o *op.Op, a *op.Sockaddr) *op.Op { return o.Connect(c, a) }))
}

func clone(sa *op.Sockaddr) *op.Sockaddr {
	c := *sa
	return &c
}

type orphanEnd struct {
	h    *op.Handle
	peer net.Conn
	wake func()
}

func (e *env) orphanInput() orphanEnd {
	h, peer := e.pair()
	return orphanEnd{h, peer, func() { e.write(peer, pattern(0, 1000)) }}
}

func (e *env) orphanOutput() orphanEnd {
	h, peer := e.pair()
	full := e.stuff(h)
	return orphanEnd{h, peer, func() {
		e.read(peer, full)
		requireSame(e, pattern(0, orphanSize), e.read(peer, orphanSize))
	}}
}

func rule04Collector(e *env) {
	e.start()
	all := orphans(e)
	for _, x := range all {
		e.settle()
		require.Empty(e, x.got, "%s didn't wait", x.what)
	}
	for range 3 {
		runtime.GC()
		e.settle()
	}
	for range 1000 {
		filled(orphanSize) // what has been freed is overwritten
	}
	for _, x := range all {
		x.wake()
		r := await(e, x.got)
		if r.n > 0 && r.n < x.n { // a receive may come to less
			r.n = x.n
		}
		require.Equal(e, result{x.n, nil}, r, x.what)
	}
}

func rule04Forgotten(e *env) {
	e.start()
	all := orphans(e)
	for _, x := range all {
		x.wake()
		r := await(e, x.got)
		require.NoError(e, r.err, x.what)
	}
	for i := 0; i < 50 && slices.ContainsFunc(all, func(x orphan) bool { return !x.free() }); i++ {
		runtime.GC()
		e.settle()
	}
	for _, x := range all {
		require.True(e, x.free(), "the loop still holds what a %s needed", x.what)
	}
}

// Each operation has fresh memory, and the collector runs all the time: what is
// freed too early is soon somebody else's.
func rule04Storm(e *env) {
	e.start()
	h, peer := e.pair()
	f, path := e.tempFile(nil)
	defer e.collect()()
	for i := range many(80, 25) {
		transferAll(e, i*1000, h, peer, f, path)
	}
}

// collect runs the garbage collector over and over. The function that it returns
// ends that.
func (e *env) collect() (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	return func() { close(stop); await(e, stopped) }
}

func transferAll(e *env, at int, h *op.Handle, peer net.Conn, f *op.Handle, path string) {
	e.Helper()
	const n = 1000
	recv, into := newJob(), make([]byte, n)
	e.put(recv.Recvv(h, [][]byte{into[:500], into[500:]}))
	send, write, open := newJob(), newJob(), newJob()
	e.put(send.Sendv(h, [][]byte{pattern(at, 400), pattern(at+400, 600)}))
	e.put(write.WritevAt(f, [][]byte{pattern(at, 300), pattern(at+300, 700)}, int64(at)))
	open.Done = func(o *op.Op) {
		dispose(o)
		open.got <- result{0, statusOf(o)}
	}
	e.put(open.OpenAt(nil, string(append([]byte(nil), path...)), unix.O_RDONLY, 0))
	requireSame(e, pattern(at, n), e.read(peer, n))
	e.write(peer, pattern(at, n))
	send.waitFor(e, n, nil)
	write.waitFor(e, n, nil)
	open.waitFor(e, 0, nil)
	got, err := recv.wait(e)
	require.NoError(e, err)
	requireSame(e, pattern(at, got), into[:got])
	for ; got < n; got++ { // what did not come with it
		e.put(recv.Recv(h, into[got:got+1]))
		recv.waitFor(e, 1, nil)
	}
	requireSame(e, pattern(at, n), into)
	read, back := newJob(), make([]byte, n)
	e.put(read.ReadvAt(f, [][]byte{back[:700], back[700:]}, int64(at)))
	read.waitFor(e, n, nil)
	requireSame(e, pattern(at, n), back)
}

func statusOf(o *op.Op) error {
	_, err := o.Result()
	return err
}
