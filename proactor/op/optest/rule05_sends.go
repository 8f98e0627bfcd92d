//go:build linux

package optest

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule05 = []test{
	{"Rule05_ASendCompletesWhenEverythingIsSent", rule05Whole},
	{"Rule05_ASendToAPeerThatIsGoneFails", rule05PeerGone},
	{"Rule05_ASendToAClosedPipeFails", rule05PipeGone},
	{"Rule05_ACancelledSendTearsTheStream", rule05CancelTears},
	{"Rule05_AnExpiredSendTearsTheStream", rule05DeadlineTears},
	{"Rule05_ASendCancelledBeforeAnyByteDoesNotTear", rule05NotTorn},
	{"Rule05_AResetEndsASendWithItsCount", rule05Reset},
	{"Rule05_AResetEndsAReceive", rule05ResetReceive},
	{"Rule05_AReceiveGetsDataThenTheEnd", rule05End},
	{"Rule05_AHalfClosedPeerStillReceives", rule05PeerHalf},
	{"Rule05_AHalfClosedHandleStillReceives", rule05OwnHalf},
	{"Rule05_EmptyTransfersTakeTheirTurn", rule05Empty},
	{"Rule05_AReadAcrossTheEndOfAFileIsShort", rule05FileEnd},
	{"Rule05_AVectoredReadAcrossTheEndOfAFileIsShort", rule05FileEndVector},
	{"Rule05_LargeVectorsAreWrittenWhole", rule05FileVector},
	{"Rule05_AFileErrorComesWithItsErrno", rule05FileError},
}

func rule05Whole(e *env) {
	e.start()
	for _, vector := range []bool{false, true} {
		h, peer := e.narrowPair()
		const n = 1 << 20
		j := newJob()
		e.put(sendOf(&j.Op, h, 0, n, vector))
		j.stillPending(e)
		got := e.read(peer, n/2)
		j.stillPending(e) // not at the first part, nor later
		requireSame(e, pattern(0, n), append(got, e.read(peer, n/2)...))
		j.waitFor(e, n, nil)
	}
}

// requireGone requires the error of a send that nobody can receive.
func requireGone(e *env, err error) {
	e.Helper()
	if !errors.Is(err, syscall.EPIPE) {
		require.ErrorIs(e, err, syscall.ECONNRESET)
	}
	var call *os.SyscallError
	require.ErrorAs(e, err, &call)
	require.NotEmpty(e, call.Syscall)
}

func rule05PeerGone(e *env) {
	e.start()
	local, a := e.pair()
	tcp, b := e.tcpPair()
	require.NoError(e, a.Close())
	require.NoError(e, b.SetLinger(0))
	require.NoError(e, b.Close())
	for _, h := range []*op.Handle{local, tcp} {
		for i := range 3 {
			n, err := e.do(func(o *op.Op) *op.Op { return sendOf(o, h, 0, 10, i == 1) })
			require.Zero(e, n)
			requireGone(e, err)
		}
	}
}

func rule05PipeGone(e *env) {
	e.start()
	h, r := e.pipe(false)
	require.NoError(e, r.Close())
	for i := range 2 {
		n, err := e.do(func(o *op.Op) *op.Op { return sendOf(o, h, 0, 10, i == 1) })
		require.Zero(e, n)
		require.ErrorIs(e, err, syscall.EPIPE)
	}
	in, w := e.pipe(true)
	e.write(w, []byte("rest"))
	require.NoError(e, w.Close())
	recv := newJob()
	e.put(recv.Recv(in, make([]byte, 8)))
	recv.waitFor(e, 4, nil)
	e.put(recv.Recv(in, make([]byte, 8)))
	recv.waitFor(e, 0, io.EOF)
}

func rule05CancelTears(e *env) {
	tear(e, op.ErrCanceled, 0, func(t op.Ticket) { require.True(e, e.loop.Cancel(t)) })
}

func rule05DeadlineTears(e *env) {
	tear(e, os.ErrDeadlineExceeded, 10*time.Millisecond, func(op.Ticket) {})
}

// tear ends a send in the middle. The peer gets what was reported as sent and
// nothing of what was queued behind, before the end or after it.
func tear(e *env, want error, timeout time.Duration, end func(op.Ticket)) {
	e.start()
	for _, vector := range []bool{false, true} {
		h, peer := e.narrowPair()
		torn, behind, empty, shut, after := newJob(), newJob(), newJob(), newJob(), newJob()
		sendOf(&torn.Op, h, 0, 1<<20, vector)
		if timeout > 0 {
			torn.SetTimeout(timeout)
		}
		t := e.put(&torn.Op)
		e.put(sendOf(&behind.Op, h, 0, 1000, !vector))
		e.put(empty.Send(h, nil))
		e.settle()
		end(t)
		n, err := torn.wait(e)
		require.ErrorIs(e, err, want)
		require.Positive(e, n)
		require.Less(e, n, 1<<20)
		behind.waitFor(e, 0, op.ErrTorn)
		empty.waitFor(e, 0, op.ErrTorn)
		e.put(after.Send(h, []byte("after")))
		after.waitFor(e, 0, op.ErrTorn)
		e.put(shut.Shutdown(h, syscall.SHUT_WR))
		shut.waitFor(e, 0, nil)
		requireSame(e, pattern(0, n), e.readRest(peer))
	}
}

func rule05NotTorn(e *env) {
	e.start()
	h, peer := e.narrowPair()
	full := e.stuff(h)
	first, second, third := newJob(), newJob(), newJob()
	t := e.put(first.Send(h, []byte("first")))
	e.put(second.Send(h, []byte("second")))
	first.stillPending(e)
	require.True(e, e.loop.Cancel(t))
	first.waitFor(e, 0, op.ErrCanceled)
	second.stillPending(e)
	e.read(peer, full)
	second.waitFor(e, 6, nil)
	e.put(third.Send(h, []byte("third")))
	third.waitFor(e, 5, nil)
	require.Equal(e, "secondthird", string(e.read(peer, 11)))
}

func rule05Reset(e *env) {
	e.start()
	for _, vector := range []bool{false, true} {
		h, peer := e.narrowTCP()
		const size = 16 << 20
		torn, behind := newJob(), newJob()
		e.put(sendOf(&torn.Op, h, 0, size, vector))
		e.put(behind.Send(h, []byte("behind")))
		requireSame(e, pattern(0, 100_000), e.read(peer, 100_000))
		torn.stillPending(e)
		require.NoError(e, peer.SetLinger(0))
		require.NoError(e, peer.Close())
		n, err := torn.wait(e)
		requireGone(e, err)
		require.GreaterOrEqual(e, n, 100_000)
		require.Less(e, n, size)
		behind.waitFor(e, 0, op.ErrTorn)
	}
}

func rule05ResetReceive(e *env) {
	e.start()
	for _, pending := range []bool{true, false} {
		h, peer := e.tcpPair()
		recv := newJob()
		if pending {
			e.put(recv.Recv(h, make([]byte, 8)))
			recv.stillPending(e)
		}
		require.NoError(e, peer.SetLinger(0))
		require.NoError(e, peer.Close())
		if !pending {
			e.put(recv.Recv(h, make([]byte, 8)))
		}
		recv.waitFor(e, 0, syscall.ECONNRESET)
	}
}

func rule05End(e *env) {
	e.start()
	h, peer := e.pair()
	tcp, tcpPeer := e.tcpPair()
	e.write(peer, []byte("last words"))
	e.write(tcpPeer, []byte("last words"))
	require.NoError(e, peer.Close())
	require.NoError(e, tcpPeer.Close())
	for _, h := range []*op.Handle{h, tcp} {
		b, j := make([]byte, 20), newJob()
		e.put(j.Recv(h, b[:4]))
		j.waitFor(e, 4, nil)
		e.put(j.Recvv(h, [][]byte{b[4:5], b[5:]}))
		j.waitFor(e, 6, nil)
		require.Equal(e, "last words", string(b[:10]))
		for i := range 3 {
			if j.Recv(h, b); i == 1 {
				j.Recvv(h, [][]byte{b})
			}
			e.put(&j.Op)
			j.waitFor(e, 0, io.EOF)
		}
	}
}

func rule05PeerHalf(e *env) {
	e.start()
	h, peer := e.tcpPair()
	recv, send := newJob(), newJob()
	e.put(recv.Recv(h, make([]byte, 8)))
	e.settle()
	require.NoError(e, peer.CloseWrite())
	recv.waitFor(e, 0, io.EOF)
	for i := range 3 {
		e.put(send.Send(h, pattern(i*1000, 1000)))
		send.waitFor(e, 1000, nil)
	}
	requireSame(e, pattern(0, 3000), e.read(peer, 3000))
}

func rule05OwnHalf(e *env) {
	e.start()
	h, peer := e.tcpPair()
	recv, shut := newJob(), newJob()
	e.put(recv.Recv(h, make([]byte, 8)))
	e.put(shut.Shutdown(h, syscall.SHUT_WR))
	shut.waitFor(e, 0, nil)
	require.Empty(e, e.readRest(peer))
	recv.stillPending(e)
	e.write(peer, []byte("still"))
	recv.waitFor(e, 5, nil)
	e.put(recv.Recv(h, make([]byte, 8)))
	e.settle()
	e.put(shut.Shutdown(h, syscall.SHUT_RD))
	shut.waitFor(e, 0, nil)
	recv.waitFor(e, 0, io.EOF)
}

func rule05Empty(e *env) {
	e.start()
	h, peer := e.narrowPair()
	s := newSequence(4)
	e.put(s.next(0).Recv(h, nil)) // nothing is before it
	e.put(s.next(1).Recv(h, make([]byte, 4)))
	e.put(s.next(2).Recv(h, []byte{}))
	e.put(s.next(3).Recvv(h, [][]byte{nil, {}}))
	e.settle()
	require.Len(e, s.ended, 1)
	e.write(peer, []byte("x"))
	require.Equal(e, []result{{0, nil}, {1, nil}, {0, nil}, {0, nil}}, s.wait(e, 4))
	full := e.stuff(h)
	out := newSequence(3)
	e.put(out.next(0).Send(h, []byte("y")))
	e.put(out.next(1).Send(h, nil))
	e.put(out.next(2).Sendv(h, [][]byte{nil, {}}))
	e.settle()
	require.Empty(e, out.ended)
	e.read(peer, full)
	require.Equal(e, []result{{1, nil}, {0, nil}, {0, nil}}, out.wait(e, 3))
}

func rule05FileEnd(e *env) {
	e.start()
	f, _ := e.tempFile(pattern(0, 1000))
	for _, x := range []struct {
		at, size, n int
		err         error
	}{
		{0, 1000, 1000, nil}, {0, 0, 0, nil}, {10, 500, 500, nil},
		{900, 100, 100, nil}, // all there is, and no more asked for
		{900, 101, 100, io.EOF}, {0, 5000, 1000, io.EOF},
		{1000, 1, 0, io.EOF}, {5000, 10, 0, io.EOF}, {5000, 0, 0, nil},
	} {
		b := filled(x.size)
		n, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(f, b, int64(x.at)) })
		require.Equal(e, result{x.n, x.err}, result{n, err}, "%d bytes at %d", x.size, x.at)
		requireSame(e, pattern(x.at, n), b[:n])
		requireSame(e, filled(x.size-n), b[n:])
	}
}

func rule05FileEndVector(e *env) {
	e.start()
	f, _ := e.tempFile(pattern(0, 5000))
	for _, at := range []int{0, 1, 777, 4000, 4999, 5000, 6000} {
		b := make([]byte, 6000)
		n, err := e.do(func(o *op.Op) *op.Op { return o.ReadvAt(f, pieces(b), int64(at)) })
		require.Equal(e, result{max(5000-at, 0), io.EOF}, result{n, err}, "at %d", at)
		requireSame(e, pattern(at, n), b[:n])
	}
	b := make([]byte, 5000)
	n, err := e.do(func(o *op.Op) *op.Op { return o.ReadvAt(f, pieces(b), 0) })
	require.Equal(e, result{5000, nil}, result{n, err})
	requireSame(e, pattern(0, 5000), b)
}

func rule05FileVector(e *env) {
	e.start()
	f, path := e.tempFile(nil)
	const at, n = 12_345, 20_000
	v := append(make([][]byte, 1500), pieces(pattern(at, n))...)
	require.Greater(e, len(v), 10_000)
	got, err := e.do(func(o *op.Op) *op.Op { return o.WritevAt(f, v, at) })
	require.Equal(e, result{n, nil}, result{got, err})
	got, err = e.do(func(o *op.Op) *op.Op { return o.WriteAt(f, pattern(0, at), 0) })
	require.Equal(e, result{at, nil}, result{got, err})
	got, err = e.do(func(o *op.Op) *op.Op { return o.WritevAt(f, make([][]byte, 3000), 1<<40) })
	require.Equal(e, result{0, nil}, result{got, err})
	all, err := os.ReadFile(path)
	require.NoError(e, err)
	requireSame(e, pattern(0, at+n), all)
}

func rule05FileError(e *env) {
	e.start()
	_, path := e.tempFile(pattern(0, 100))
	reads, writes := e.openFile(path, unix.O_RDONLY), e.openFile(path, unix.O_WRONLY)
	b := make([]byte, 10)
	for what, x := range map[string]struct {
		d    deed
		want syscall.Errno
	}{
		"write of what is open for reading": {func(o *op.Op) *op.Op { return o.WriteAt(reads, b, 0) }, syscall.EBADF},
		"read of what is open for writing":  {func(o *op.Op) *op.Op { return o.ReadAt(writes, b, 0) }, syscall.EBADF},
		"open of what isn't there":          {func(o *op.Op) *op.Op { return o.OpenAt(nil, path+"x", 0, 0) }, syscall.ENOENT},
		"open below what is no directory":   {func(o *op.Op) *op.Op { return o.OpenAt(reads, "x", 0, 0) }, syscall.ENOTDIR},
	} {
		n, err := e.do(x.d)
		require.ErrorIs(e, err, x.want, what)
		require.Zero(e, n, what)
	}
}
