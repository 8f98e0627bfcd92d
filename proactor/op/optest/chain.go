//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var chainTests = []test{
	{"Chain_EachBeginsAfterTheCallbackBefore", chainOrder},
	{"Chain_AFailureCancelsTheRest", chainFails},
	{"Chain_AHardLinkDoesNot", chainHard},
	{"Chain_OpenReadClose", chainFile},
	{"Chain_CancelEndsWhatIsLeft", chainCancel},
	{"Chain_OneLinkIsCancelledBeforeItBegins", chainCancelOne},
	{"Chain_ClosingTheLoopEndsIt", chainLoopCloses},
	{"Chain_APanicLeavesItsRestToClose", chainPanic},
	{"Chain_RefusedIsTheCallers", chainRefused},
	{"Chain_BuffersOfWhatNeverBeganComeBack", chainBuffers},
	{"Chain_ItsOperationsCanBeUsedAgain", chainAgain},
	{"Chain_AMultishotEndsBeforeTheNextBegins", chainMulti},
	{"Chain_AnOperationTwiceIsRefusedWhole", chainTwice},
	{"Chain_ASecondHandleIsOpenedInIt", chainSecond},
	{"Chain_AHandleIsOpenedOnce", chainOpenedOnce},
}

// links makes n jobs, and a log of whose callback ran.
func links(n int) (all []*job, log chan int) {
	log = make(chan int, 4*n)
	for i := range n {
		j := newJob()
		done := j.Done
		j.Done = func(o *op.Op) { log <- i; done(o) }
		all = append(all, j)
	}
	return all, log
}

func (e *env) chain(all ...*job) *proactor.Chain {
	e.Helper()
	var ops []*op.Op
	for _, j := range all {
		ops = append(ops, &j.Op)
	}
	c, err := e.loop.Chain(ops...)
	require.NoError(e, err)
	return c
}

// inOrder requires the n callbacks in their order, once each.
func inOrder(e *env, log chan int, n int) {
	e.Helper()
	for i := range n {
		require.Equal(e, i, await(e, log))
	}
	e.settle()
	require.Empty(e, log, "a second callback")
}

func chainOrder(e *env) {
	e.start()
	f, path := e.tempFile(nil)
	all, log := links(4)
	buf := make([]byte, 5)
	step := all[0].Done
	all[0].Done = func(o *op.Op) { // the next must not have begun
		for range 3 {
			b, err := os.ReadFile(path)
			if err != nil || len(b) > 0 {
				e.Errorf("the second has begun: %q, %v", b, err)
			}
		}
		step(o)
	}
	all[0].Timeout(0)
	all[1].WriteAt(f, []byte("hello"), 0)
	all[2].Fdatasync(f)
	all[3].ReadAt(f, buf, 0)
	e.chain(all...)
	inOrder(e, log, 4)
	for i, n := range []int{0, 5, 0, 5} {
		all[i].waitFor(e, n, nil)
	}
	require.Equal(e, "hello", string(buf))
	_, err := e.loop.Chain()
	require.NoError(e, err)
}

func chainFails(e *env) {
	e.start()
	f, _ := e.tempFile([]byte("abc"))
	all, log := links(4)
	all[0].ReadAt(f, make([]byte, 3), 0)
	all[1].ReadAt(f, make([]byte, 10), 0) // short
	all[2].Ftruncate(f, 0)
	all[3].Nop()
	e.chain(all...)
	inOrder(e, log, 4)
	all[0].waitFor(e, 3, nil)
	all[1].waitFor(e, 3, io.EOF)
	all[2].waitFor(e, 0, op.ErrCanceled)
	all[3].waitFor(e, 0, op.ErrCanceled)
	n, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(f, make([]byte, 3), 0) })
	require.NoError(e, err, "it was truncated")
	require.Equal(e, 3, n)
}

func chainHard(e *env) {
	e.start()
	f, _ := e.tempFile([]byte("abc"))
	all, log := links(4)
	all[0].ReadAt(f, make([]byte, 10), 0).HardLink()
	all[1].Nop()
	all[2].ReadAt(f, make([]byte, 10), 100)
	all[3].Nop()
	e.chain(all...)
	inOrder(e, log, 4)
	all[0].waitFor(e, 3, io.EOF)
	all[1].waitFor(e, 0, nil)
	all[2].waitFor(e, 0, io.EOF)
	all[3].waitFor(e, 0, op.ErrCanceled)
}

func chainFile(e *env) {
	e.start()
	_, path := e.tempFile([]byte("contents"))
	before := Descriptors()
	for _, x := range []struct {
		name       string
		open, read error
		closed     error
		n          int
	}{
		{path, nil, nil, nil, 8},
		{path + "-missing", unix.ENOENT, op.ErrCanceled, op.ErrCanceled, 0},
		{e.TempDir(), nil, unix.EISDIR, nil, 0}, // opened, not read, closed
	} {
		all, log := links(3)
		h, buf := new(op.Handle), make([]byte, 8)
		all[0].OpenInto(h, nil, x.name, unix.O_RDONLY, 0)
		all[1].ReadAt(h, buf, 0).HardLink()
		all[2].Close(h, 0)
		e.chain(all...)
		inOrder(e, log, 3)
		_, err := all[0].wait(e)
		require.ErrorIs(e, err, x.open)
		all[1].waitFor(e, x.n, x.read)
		all[2].waitFor(e, 0, x.closed)
		require.Equal(e, "contents"[:x.n], string(buf[:x.n]))
	}
	e.sameDescriptors(before)
	j := newJob() // a handle that was opened so is one like others
	h := new(op.Handle)
	e.put(j.OpenInto(h, nil, path+"-new", unix.O_RDWR|unix.O_CREAT, 0o640))
	_, err := j.wait(e)
	require.NoError(e, err)
	e.put(j.WriteAt(h, []byte("x"), 0))
	j.waitFor(e, 1, nil)
	requirePanic(e, "has been in use", func() { j.OpenInto(h, nil, path, unix.O_RDONLY, 0) })
	e.abort(h)
}

func chainCancel(e *env) {
	e.start()
	h, _ := e.pair()
	all, log := links(4)
	all[0].Nop()
	all[1].Recv(h, make([]byte, 1)).HardLink()
	all[2].Nop()
	all[3].Nop()
	c := e.chain(all...)
	require.Equal(e, 0, await(e, log))
	all[1].stillPending(e)
	c.Cancel()
	for i := 1; i < 4; i++ {
		require.Equal(e, i, await(e, log))
		all[i].waitFor(e, 0, op.ErrCanceled)
	}
	all[0].waitFor(e, 0, nil)
	c.Cancel() // over
	e.settle()
	require.Empty(e, log)
}

func chainCancelOne(e *env) {
	e.start()
	h, peer := e.pair()
	all, log := links(3)
	all[0].Recv(h, make([]byte, 1))
	all[1].Timeout(time.Hour).HardLink()
	all[2].Nop()
	c := e.chain(all...)
	require.True(e, e.loop.Cancel(c.Ticket(1)))
	e.settle()
	require.Empty(e, log)
	e.write(peer, []byte("x"))
	inOrder(e, log, 3)
	all[0].waitFor(e, 1, nil)
	all[1].waitFor(e, 0, op.ErrCanceled)
	all[2].waitFor(e, 0, nil)
	require.False(e, e.loop.Cancel(c.Ticket(2)))
}

func chainLoopCloses(e *env) {
	l := e.start()
	h, _ := e.pair()
	all, log := links(4)
	all[0].Recv(h, make([]byte, 1)).HardLink()
	all[1].Nop()
	all[2].Recv(h, make([]byte, 1))
	all[3].Nop()
	e.chain(all...)
	all[0].stillPending(e)
	require.NoError(e, l.Close())
	for i, want := range []error{net.ErrClosed, net.ErrClosed, op.ErrCanceled, op.ErrCanceled} {
		require.Equal(e, i, await(e, log))
		all[i].waitFor(e, 0, want)
	}
	require.Empty(e, log)
}

func chainPanic(e *env) {
	l := e.newLoop(Config{})
	e.loop = l
	all, log := links(3)
	done := all[0].Done
	all[0].Done = func(o *op.Op) { done(o); bomb(o) }
	all[0].Nop()
	all[1].Nop().HardLink()
	all[2].Nop()
	e.chain(all...)
	await(e, runUntilItEnds(l)).boom(e, "bomb")
	require.NoError(e, l.Close())
	for i, want := range []error{nil, net.ErrClosed, net.ErrClosed} {
		require.Equal(e, i, await(e, log))
		all[i].waitFor(e, 0, want)
	}
	require.Empty(e, log)
}

func chainRefused(e *env) {
	l := e.start()
	f, _ := e.tempFile(nil)
	all, log := links(2)
	_, err := l.Chain(all[0].Nop(), all[1].ReadAt(f, nil, -1))
	require.ErrorIs(e, err, op.ErrInvalid)
	requirePanic(e, "without a callback", func() { _, _ = l.Chain(all[0].Nop(), new(op.Op).Nop()) })
	requirePanic(e, "no verb has prepared", func() { _, _ = l.Chain(all[0].Nop(), &op.Op{Done: func(*op.Op) {}}) })
	requirePanic(e, "recv without a handle", func() { _, _ = l.Chain(all[0].Nop(), all[1].Recv(nil, nil)) })
	foreign, err := e.another().Register(e.newSocket(unix.AF_UNIX))
	require.NoError(e, err)
	requirePanic(e, "recv on a handle of another", func() { _, _ = l.Chain(all[0].Nop(), all[1].Recv(foreign, nil)) })
	require.NoError(e, l.Close())
	_, err = l.Chain(all[0].Nop(), all[1].Nop())
	require.ErrorIs(e, err, net.ErrClosed)
	require.Empty(e, log)
	other := e.another() // they are as they were
	c, err := other.Chain(all[0].Nop(), all[1].Nop())
	require.NoError(e, err)
	require.True(e, c.Ticket(1) != op.Ticket{})
	require.Equal(e, 0, await(e, log))
	require.Equal(e, 1, await(e, log))
}

func chainBuffers(e *env) {
	e.start(proactor.WithBuffers(4, 1024))
	h, peer := e.pair()
	pieces, _, _ := e.recvEach(h)
	e.write(peer, []byte("x"))
	b := await(e, pieces).buf
	all, log := links(2)
	f, _ := e.tempFile(nil)
	all[0].ReadAt(f, make([]byte, 1), 0) // of nothing
	all[1].SendBuffer(h, b)
	e.chain(all...)
	inOrder(e, log, 2)
	all[1].waitFor(e, 0, op.ErrCanceled)
	require.Zero(e, e.stats().BuffersOut)
}

func chainAgain(e *env) {
	e.start()
	a, b := new(op.Op), new(op.Op)
	const n = 100
	rounds, end := 0, make(chan struct{})
	a.Done = func(*op.Op) {}
	b.Done = func(*op.Op) {
		if rounds++; rounds == n {
			close(end)
			return
		}
		if _, err := e.loop.Chain(a.Nop(), b.Nop()); err != nil {
			e.Error(err)
		}
	}
	_, err := e.loop.Chain(a.Nop(), b.Nop())
	require.NoError(e, err)
	await(e, end)
}

func chainMulti(e *env) {
	l := e.start(proactor.WithBuffers(4, 1024))
	h, peer := e.pair()
	all, log := links(2)
	pieces := make(chan string, 4)
	ended := all[0].Done
	all[0].Done = func(o *op.Op) {
		if !o.More() {
			ended(o)
			return
		}
		b := o.Buffer()
		pieces <- string(b.Bytes())
		b.Release()
	}
	all[0].RecvEach(h).HardLink()
	all[1].Nop()
	e.chain(all...)
	for _, s := range []string{"one", "two"} {
		e.write(peer, []byte(s))
		require.Equal(e, s, await(e, pieces))
		all[1].stillPending(e)
	}
	peer.Close()
	inOrder(e, log, 2)
	all[0].waitFor(e, 0, io.EOF)
	all[1].waitFor(e, 0, nil)
	require.NoError(e, l.Close())
}

func chainTwice(e *env) {
	l := e.start()
	all, log := links(2)
	ops := []*op.Op{all[0].Nop(), all[1].Nop(), &all[0].Op}
	requirePanic(e, "in flight", func() { _, _ = l.Chain(ops...) })
	require.False(e, all[0].InFlight())
	require.False(e, all[1].InFlight())
	e.onLoop(func() {
		_, err := l.Chain(ops[:2]...)
		require.NoError(e, err)
		clear(ops) // the slice is the caller's
	})
	inOrder(e, log, 2)
}

func chainSecond(e *env) {
	e.start()
	h, peer := e.tcpPair()
	_, path := e.tempFile([]byte("contents"))
	for _, x := range []struct {
		name string
		n    int
		sent error
	}{{path, 8, nil}, {path + "-missing", 0, net.ErrClosed}} {
		all, log := links(3)
		f := new(op.Handle)
		all[0].OpenInto(f, nil, x.name, unix.O_RDONLY, 0).HardLink()
		all[1].SendFile(h, f, 0, op.ToTheEnd).HardLink()
		all[2].Close(f, 0)
		e.chain(all...)
		inOrder(e, log, 3)
		all[1].waitFor(e, x.n, x.sent)
	}
	require.Equal(e, "contents", string(e.read(peer, 8)))
}

func chainOpenedOnce(e *env) {
	e.start()
	_, path := e.tempFile(nil)
	before := Descriptors()
	h, a, b := new(op.Handle), newJob(), newJob()
	e.onLoop(func() {
		e.put(a.OpenInto(h, nil, path, unix.O_RDONLY, 0))
		e.put(b.OpenInto(h, nil, path, unix.O_RDONLY, 0))
	})
	_, errA := a.wait(e)
	_, errB := b.wait(e)
	if errA == nil {
		errA = errB
	} else {
		require.NoError(e, errB)
	}
	require.ErrorIs(e, errA, unix.EBUSY)
	e.abort(h)
	e.sameDescriptors(before)
}
