//go:build linux

package optest

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule07 = []test{
	{"Rule07_EverythingPendingEndsBeforeTheClose", rule07Pending},
	{"Rule07_AnAbortEndsEverythingPending", rule07AbortPending},
	{"Rule07_ThePeerSeesTheEndAlthoughAReceiveIsPending", rule07PeerSeesEnd},
	{"Rule07_QueuedSendsAreFlushed", rule07Flush},
	{"Rule07_QueuedSendsAreFlushedOverTCP", rule07FlushTCP},
	{"Rule07_ReceivesEndBeforeTheFlush", rule07ReceivesFirst},
	{"Rule07_TheLingerTimeLimitsTheFlush", rule07Linger},
	{"Rule07_NoLingerTimeIsNoFlush", rule07NoLinger},
	{"Rule07_AnAbortCutsAClosingHandleShort", rule07AbortCuts},
	{"Rule07_ACancelCutsAClosingHandleShort", rule07CancelCuts},
	{"Rule07_OnlyOneCloseIsAccepted", rule07Once},
	{"Rule07_AnAbortOfAClosedHandleHarmsNobody", rule07LateAbort},
	{"Rule07_WhatIsQueuedBehindAConnectEndsWithIt", rule07ConnectLine},
	{"Rule07_AHandleCanBeClosedByItsOwnCallbacks", rule07FromCallback},
	{"Rule07_ARecycledDescriptorGetsNoStaleEvents", rule07Recycled},
	{"Rule07_ARecycledDescriptorGetsNoEventsOfADuplicate", rule07Duplicate},
	{"Rule07_AFileIsClosedAfterItsOperations", rule07File},
}

// closings runs each operation that stays pending, closes its handle, and
// requires the operation to end first.
func closings(e *env, prepare func(*op.Op, op.Target) *op.Op) {
	e.Helper()
	all := stuckOps(e)
	jobs, _ := startAll(e, all)
	for i, x := range all {
		if x.h == nil {
			continue
		}
		inLine, closing := newJob(), newJob()
		e.put(x.deed(&inLine.Op))
		late := -1 // the loop goroutine's, then the result's
		done := closing.Done
		closing.Done = func(o *op.Op) { late = 2 - len(jobs[i].got) - len(inLine.got); done(o) }
		e.put(prepare(&closing.Op, x.h))
		closing.waitFor(e, 0, nil)
		require.Zero(e, late, "callbacks of %s after the close's", x.name)
		for _, j := range []*job{jobs[i], inLine} {
			n, err := j.wait(e)
			require.Equal(e, result{0, net.ErrClosed}, result{n, err}, x.name)
		}
	}
}

func rule07Pending(e *env) {
	e.start()
	// Sends would be flushed for as long; of the others none waits for that.
	closings(e, func(o *op.Op, t op.Target) *op.Op { return o.Close(t, 10*time.Millisecond) })
}

func rule07AbortPending(e *env) {
	e.start()
	closings(e, func(o *op.Op, t op.Target) *op.Op { return o.Abort(t) })
}

func rule07PeerSeesEnd(e *env) {
	e.start()
	local, a := e.pair()
	tcp, b := e.tcpPair()
	for h, peer := range map[*op.Handle]net.Conn{local: a, tcp: b} {
		recv, poll, closing := newJob(), newJob(), newJob()
		e.put(recv.Recv(h, make([]byte, 8)))
		e.put(poll.Poll(h, unix.POLLPRI))
		e.settle()
		e.put(closing.Close(h, time.Hour))
		require.Empty(e, e.readRest(peer))
		recv.waitFor(e, 0, net.ErrClosed)
		poll.waitFor(e, 0, net.ErrClosed)
		closing.waitFor(e, 0, nil)
	}
}

func rule07Flush(e *env) {
	e.start()
	h, peer := e.narrowPair()
	flush(e, h, peer)
}

func rule07FlushTCP(e *env) {
	e.start()
	h, peer := e.narrowTCP()
	flush(e, h, peer)
}

func flush(e *env, h *op.Handle, peer net.Conn) {
	e.Helper()
	const n, size = 100, 10_000
	s := newSequence(n + 2)
	for i := range n {
		e.put(sendOf(s.next(i), h, i*size, size, i%3 == 1))
	}
	e.put(s.next(n).Shutdown(h, syscall.SHUT_WR))
	e.put(s.next(n+1).Close(h, -1))
	e.settle()
	require.Less(e, len(s.ended), n, "the reader is not slow: nothing waits")
	requireSame(e, pattern(0, n*size), e.read(peer, n*size))
	require.Empty(e, e.readRest(peer))
	for i, r := range s.wait(e, n+2) {
		want := result{size, nil}
		if i >= n {
			want.n = 0
		}
		require.Equal(e, want, r, "operation %d", i)
	}
}

func rule07ReceivesFirst(e *env) {
	e.start()
	h, peer := e.narrowPair()
	recv, poll, send, closing := newJob(), newJob(), newJob(), newJob()
	e.put(recv.Recv(h, make([]byte, 1)))
	e.put(poll.Poll(h, unix.POLLIN))
	e.put(send.Send(h, pattern(0, 100_000)))
	e.settle()
	e.put(closing.Close(h, -1))
	recv.waitFor(e, 0, net.ErrClosed)
	poll.waitFor(e, 0, net.ErrClosed)
	send.stillPending(e)
	closing.stillPending(e)
	requireSame(e, pattern(0, 100_000), e.readRest(peer))
	send.waitFor(e, 100_000, nil)
	closing.waitFor(e, 0, nil)
}

// cutShort ends a close in the middle of its flush. The peer gets what the sends
// reported, and the end.
func cutShort(e *env, linger time.Duration, cut func(*op.Handle, op.Ticket)) {
	e.Helper()
	h, peer := e.narrowPair()
	s := newSequence(4)
	e.put(s.next(0).Send(h, pattern(0, 1<<20)))
	e.put(s.next(1).Send(h, []byte("behind")))
	e.put(s.next(2).Shutdown(h, syscall.SHUT_WR))
	e.settle()
	t := e.put(s.next(3).Close(h, linger))
	cut(h, t)
	all := s.wait(e, 4)
	require.ErrorIs(e, all[0].err, net.ErrClosed)
	require.Positive(e, all[0].n)
	require.Equal(e, result{0, net.ErrClosed}, all[1])
	require.Equal(e, result{0, net.ErrClosed}, all[2])
	require.Equal(e, result{0, nil}, all[3])
	requireSame(e, pattern(0, all[0].n), e.readRest(peer))
}

func rule07Linger(e *env) {
	e.start()
	began := time.Now()
	const linger = 15 * time.Millisecond
	cutShort(e, linger, func(*op.Handle, op.Ticket) {})
	require.GreaterOrEqual(e, time.Since(began), linger, "the linger time was cut")
}

func rule07NoLinger(e *env) {
	e.start()
	cutShort(e, 0, func(*op.Handle, op.Ticket) {})
}

func rule07AbortCuts(e *env) {
	e.start()
	for _, linger := range []time.Duration{-1, time.Hour} {
		abort := newJob()
		cutShort(e, linger, func(h *op.Handle, t op.Ticket) {
			e.settle()
			require.True(e, t.Current(), "the close didn't linger")
			e.put(abort.Abort(h))
		})
		abort.waitFor(e, 0, nil)
	}
}

func rule07CancelCuts(e *env) {
	e.start()
	for _, linger := range []time.Duration{-1, time.Hour} {
		cutShort(e, linger, func(_ *op.Handle, t op.Ticket) {
			e.settle()
			require.True(e, e.loop.Cancel(t))
		})
	}
}

func rule07Once(e *env) {
	e.start()
	for range 50 {
		h, _ := e.pair()
		const n = 4
		refused := make(chan error, n)
		closed := newJob()
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				_, err := e.loop.Submit((&op.Op{Done: closed.Done}).Close(h, time.Hour))
				refused <- err
			})
		}
		all.Wait()
		accepted := 0
		for range n {
			if err := await(e, refused); err == nil {
				accepted++
			} else {
				require.Equal(e, net.ErrClosed, err)
			}
		}
		require.Equal(e, 1, accepted)
		closed.waitFor(e, 0, nil)
		_, err := e.loop.Submit((&op.Op{Done: closed.Done}).Close(h, 0))
		require.Equal(e, net.ErrClosed, err)
		require.Empty(e, closed.got)
	}
}

// Its number may be somebody else's by then.
func rule07LateAbort(e *env) {
	e.start()
	h, _ := e.pair()
	e.abort(h)
	innocent, peer := e.pair()
	recv, abort := newJob(), newJob()
	e.put(recv.Recv(innocent, make([]byte, 1)))
	if _, err := e.loop.Submit(abort.Abort(h)); err != nil {
		require.Equal(e, net.ErrClosed, err)
	} else {
		abort.waitFor(e, 0, net.ErrClosed)
	}
	recv.stillPending(e)
	e.write(peer, []byte("x"))
	recv.waitFor(e, 1, nil)
}

func rule07ConnectLine(e *env) {
	e.start()
	to, _ := e.fullUnix()
	h := e.socketHandle(unix.AF_UNIX)
	s := newSequence(4)
	e.put(s.next(0).Connect(h, to))
	e.put(s.next(1).Send(h, []byte("never")))
	e.put(s.next(2).Shutdown(h, syscall.SHUT_WR))
	e.settle()
	require.Empty(e, s.ended)
	e.put(s.next(3).Close(h, -1)) // there is nothing that could be flushed
	closed := result{0, net.ErrClosed}
	require.Equal(e, []result{closed, closed, closed, {0, nil}}, s.wait(e, 4))
}

func rule07FromCallback(e *env) {
	e.start()
	h, peer := e.pair()
	s := newSequence(3)
	closing := s.next(2)
	first := s.next(0)
	done := first.Done
	first.Done = func(o *op.Op) {
		if _, err := e.loop.Submit(closing.Close(h, time.Hour)); err != nil {
			return // the close's result is then missing
		}
		done(o)
	}
	e.put(first.Recv(h, make([]byte, 1)))
	e.put(s.next(1).Recv(h, make([]byte, 1)))
	e.write(peer, []byte("x"))
	require.Equal(e, []result{{1, nil}, {0, net.ErrClosed}, {0, nil}}, s.wait(e, 3))
}

// There are more operations than workers, so that some have not begun.
func rule07File(e *env) {
	e.startWith(Config{Workers: 2})
	for _, linger := range []time.Duration{-1, time.Hour} {
		f, path := e.tempFile(nil)
		const n, size = 60, 20_000
		var jobs []*job
		e.onLoop(func() {
			for i := range n {
				j := newJob()
				e.put(j.WriteAt(f, pattern(i*size, size), int64(i*size)))
				jobs = append(jobs, j)
			}
			sync := newJob()
			e.put(sync.Fdatasync(f))
			jobs = append(jobs, sync)
		})
		closing, early := newJob(), 0
		done := closing.Done
		closing.Done = func(o *op.Op) {
			for _, j := range jobs {
				early += 1 - len(j.got)
			}
			done(o)
		}
		e.put(closing.Close(f, linger))
		closing.waitFor(e, 0, nil)
		require.Zero(e, early, "operations that ended after the close")
		for _, j := range jobs[:n] {
			j.waitFor(e, size, nil)
		}
		jobs[n].waitFor(e, 0, nil)
		all, err := os.ReadFile(path)
		require.NoError(e, err)
		requireSame(e, pattern(0, n*size), all)
	}
}
