//go:build linux

package optest

import (
	"math"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// movingEnds are about how operations that move data end before their time, and about
// where files do.
var movingEnds = []test{
	{"Move_AnAbortEndsAZeroCopySendThatHasGoneInPart", zeroCopyPartAborted},
	{"Move_AnAbortEndsAZeroCopySendThatWasCancelledInPart", zeroCopyPartCancelled},
	{"Move_ALoopClosesWithAPartOfAZeroCopySendOut", zeroCopyPartClose},
	{"Move_ACancelThatComesTooLateForAZeroCopySendIsNotRepeated", zeroCopyLateCancel},
	{"Move_AFileIsSentFromBehind4GiB", sendFileFar},
	{"Move_NothingIsBehindTheEndOfTheLargestFile", sendFileFarthest},
	{"Move_ADetachOfTheFileComesAfterItsSending", sendFileDetached},
	{"Move_AFileThatIsBeingSentIsNotIdle", sendFileNotIdle},
	{"Move_PipesAreTakenByWorkersToo", splicePoolWorkers},
}

// part is a zero-copy send of which only a part has gone: the socket's queue is full.
func (e *env) part() (*op.Handle, *job, op.Ticket) {
	e.Helper()
	h, _ := e.slowTCP()
	j := newJob()
	t := e.put(j.SendZeroCopy(h, pattern(0, sent)))
	require.Eventually(e, func() bool { // it comes to rest
		n, err := unix.IoctlGetInt(h.FD(), unix.TIOCOUTQ)
		return err == nil && n > 0
	}, patience, time.Millisecond)
	j.stillPending(e)
	return h, j, t
}

func zeroCopyPartAborted(e *env) {
	e.start()
	h, j, _ := e.part()
	e.abort(h)
	n, err := j.wait(e)
	require.ErrorIs(e, err, net.ErrClosed)
	require.Less(e, n, sent)
}

func zeroCopyPartCancelled(e *env) {
	l := e.start()
	h, j, t := e.part()
	closing := newJob()
	e.onLoop(func() { // both before the send is back
		l.Cancel(t)
		e.put(closing.Abort(h))
	})
	n, err := j.wait(e)
	require.Error(e, err)
	require.Less(e, n, sent)
	closing.waitFor(e, 0, nil)
}

func zeroCopyPartClose(e *env) {
	l := e.start()
	_, j, _ := e.part()
	require.NoError(e, l.Close())
	_, err := j.wait(e)
	require.ErrorIs(e, err, net.ErrClosed)
}

func zeroCopyLateCancel(e *env) {
	l := e.start()
	h, _ := e.slowTCP()
	require.NoError(e, unix.SetsockoptInt(h.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 200_000))
	j := newJob()
	e.onLoop(func() { // the kernel gets both at once, the send first
		l.Cancel(e.put(j.SendZeroCopy(h, pattern(0, unreadSize))))
	})
	turns, same := uint64(0), 0
	require.Eventually(e, func() bool {
		before := turns
		turns = l.Stats().Turns
		if same++; turns != before {
			same = 0
		}
		return same == 5
	}, patience, 20*time.Millisecond, "the loop doesn't come to rest")
	e.abort(h)
	if n, err := j.wait(e); err == nil { // epoll sends it in part and is cancelled
		require.Equal(e, unreadSize, n)
	}
}

func sendFileFar(e *env) {
	e.start()
	h, peer := e.tcpPair()
	f, path := e.tempFile([]byte("near"))
	const far = 1<<32 + 1
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(e, err)
	defer w.Close()
	if _, err = w.WriteAt([]byte("far"), far); err != nil {
		e.Skip(err)
	}
	j := newJob()
	e.put(j.SendFile(h, f, far, 3))
	j.waitFor(e, 3, nil)
	require.Equal(e, "far", string(e.read(peer, 3)))
	e.put(j.SendFile(h, f, 1<<32-1, op.ToTheEnd))
	j.waitFor(e, 5, nil)
	require.Equal(e, "\x00\x00far", string(e.read(peer, 5)))
}

func sendFileFarthest(e *env) {
	e.start()
	h, _ := e.tcpPair()
	f, _ := e.tempFile([]byte("near"))
	for _, n := range []int{op.ToTheEnd, 1 << 20} {
		j := newJob()
		e.put(j.SendFile(h, f, math.MaxInt64-10, n))
		got, err := j.wait(e)
		require.Zero(e, got)
		require.NotErrorIs(e, err, net.ErrClosed)
	}
}

func sendFileDetached(e *env) {
	e.start()
	h, peer := e.pair()
	n := e.stuff(h)
	f, _ := e.tempFile(pattern(0, 100))
	e.makesSendFileWait(h, f)
	log := make(chan string, 4)
	sending, detach := newJob(), newJob()
	for name, j := range map[string]*job{"send": sending, "detach": detach} {
		done := j.Done
		j.Done = func(o *op.Op) { log <- name; done(o) }
	}
	e.put(sending.SendFile(h, f, 0, 100))
	e.put(detach.Detach(f))
	detach.stillPending(e)
	e.read(peer, n+100)
	sending.waitFor(e, 100, nil)
	fd, err := detach.wait(e)
	require.NoError(e, err)
	e.keep(fd)
	require.Equal(e, "send", await(e, log))
}

func sendFileNotIdle(e *env) {
	e.start()
	h, peer := e.pair()
	n := e.stuff(h)
	f, _ := e.tempFile(pattern(0, 100))
	e.makesSendFileWait(h, f)
	sending, detach := newJob(), newJob()
	e.put(sending.SendFile(h, f, 0, 100))
	e.put(detach.DetachIdle(f))
	detach.waitFor(e, 0, op.ErrPending)
	e.read(peer, n+100)
	sending.waitFor(e, 100, nil)
}

func splicePoolWorkers(e *env) {
	e.startWith(Config{Workers: 4}, proactor.WithWorkers(4))
	f, _ := e.tempFile(pattern(0, 5000))
	pool := new(op.Pipes)
	const files, rounds = 8, 50
	end := make(chan struct{}, files)
	for range files {
		j, left := new(op.Op), rounds
		j.Done = func(o *op.Op) {
			n, err := o.Result()
			if err != nil || n == 0 {
				e.Errorf("splice: %d, %v", n, err)
				end <- struct{}{}
				return
			}
			b := make([]byte, n)
			if _, err := o.Pipe().Read(b); err != nil {
				e.Error(err)
			}
			pool.Put(o.Pipe())
			if left--; left == 0 {
				end <- struct{}{}
				return
			}
			if _, err := e.loop.Submit(o.SpliceInto(f, pool, 5000)); err != nil {
				e.Error(err)
			}
		}
		e.put(j.SpliceInto(f, pool, 5000))
	}
	for range files {
		await(e, end)
	}
	e.onLoop(pool.Close)
}
