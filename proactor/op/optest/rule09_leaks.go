//go:build linux

package optest

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule09 = []test{
	{"Rule09_AnAcceptCancelledTooLateDeliversItsDescriptor", cancelledAcceptDelivers},
	{"Rule09_AnOpenCancelledTooLateDeliversItsDescriptor", cancelledOpenDelivers},
	{"Rule09_ACancelledAcceptConsumesNoConnection", cancelledAcceptConsumesNothing},
	{"Rule09_AnAcceptPastItsDeadlineConsumesNoConnection", expiredAcceptConsumesNothing},
	{"Rule09_AnAcceptOfAClosedListenerClosesWhatItGot", closedListenerClosesAccepted},
	{"Rule09_AnAcceptOfAClosedLoopClosesWhatItGot", closedLoopClosesAccepted},
	{"Rule09_AnOpenOfAClosedLoopClosesWhatItGot", closedLoopClosesOpened},
	{"Rule09_AnOpenInAClosedDirectoryClosesWhatItGot", closedDirectoryClosesOpened},
	{"Rule09_AbandonedAcceptsLeaveNothingOpen", abandonedAccepts},
	{"Rule09_AbandonedOpensLeaveNothingOpen", abandonedOpens},
	{"Rule09_FailedDialsLeaveNothingOpen", failedDials},
	{"Rule09_AnAcceptWithoutDescriptorsLosesNoConnection", acceptWithoutDescriptors},
}

// tooLate holds an operation back that has produced a descriptor, has it ended
// by end, and returns what its callback was given then.
func tooLate(e *env, t *tap, prepare func(*op.Op) *op.Op, end func(op.Ticket)) result {
	e.Helper()
	c := newCensus(1)
	ticket := e.submit(prepare(c.op(0)))
	fd := int(await(e, t.caught).Ret)
	require.GreaterOrEqual(e, fd, 0, "it produced no descriptor")
	what := link(fd)
	end(ticket)
	t.release()
	await(e, c.all)
	if r := c.results[0]; r.err == nil {
		require.Equal(e, fd, r.n)
		require.Equal(e, what, link(fd))
		unix.Close(fd)
		return r
	}
	e.closed(what)
	return c.results[0]
}

func cancelledAcceptDelivers(e *env) {
	t := e.tapped()
	t.hold = isCode(op.Accept)
	l := e.start()
	ln, sa := e.listening(8)
	e.dial(sa)
	r := tooLate(e, t, func(o *op.Op) *op.Op { return o.Accept(ln) }, func(k op.Ticket) {
		require.True(e, l.Cancel(k))
		e.settle()
	})
	require.NoError(e, r.err)
}

func cancelledOpenDelivers(e *env) {
	t := e.tapped()
	t.hold = isCode(op.OpenAt)
	l := e.start()
	_, path := e.file(nil)
	r := tooLate(e, t, func(o *op.Op) *op.Op { return o.OpenAt(nil, path, unix.O_RDWR, 0) }, func(k op.Ticket) {
		require.True(e, l.Cancel(k))
		e.settle()
	})
	require.NoError(e, r.err)
}

// gets checks that the listener's next connection is the one of the peer.
func (e *env) gets(ln *op.Handle, peer net.Conn) {
	e.Helper()
	fd, err := e.do(func(o *op.Op) *op.Op { return o.Accept(ln) })
	require.NoError(e, err)
	e.joined(fd, peer)
	unix.Close(fd)
}

// joined checks that fd and the peer are the two ends of one connection.
func (e *env) joined(fd int, peer net.Conn) {
	e.Helper()
	name, err := unix.Getpeername(fd)
	require.NoError(e, err)
	require.Equal(e, peer.LocalAddr().(*net.TCPAddr).Port, name.(*unix.SockaddrInet4).Port)
}

func cancelledAcceptConsumesNothing(e *env) {
	l := e.start()
	ln, sa := e.listening(8)
	for i := range 100 {
		c := newCensus(1)
		k := e.submit(c.op(0).Accept(ln))
		if i%2 == 0 {
			e.settle() // it waits with the engine; otherwise it is on its way there
		}
		dialed := make(chan net.Conn, 1)
		go func() { dialed <- e.dial(sa) }()
		l.Cancel(k)
		peer := await(e, dialed)
		await(e, c.all)
		if r := c.results[0]; r.err == nil {
			e.joined(r.n, peer)
			unix.Close(r.n)
		} else {
			require.ErrorIs(e, r.err, op.ErrCanceled)
			e.gets(ln, peer)
		}
		peer.Close()
	}
}

func expiredAcceptConsumesNothing(e *env) {
	e.start()
	ln, sa := e.listening(8)
	_, err := e.do(func(o *op.Op) *op.Op { return o.Accept(ln).SetTimeout(time.Millisecond) })
	require.Error(e, err)
	peer := e.dial(sa)
	e.gets(ln, peer)
}

func closedListenerClosesAccepted(e *env) {
	t := e.tapped()
	t.hold = isCode(op.Accept)
	e.start()
	ln, sa := e.listening(8)
	peer := e.dial(sa)
	r := tooLate(e, t, func(o *op.Op) *op.Op { return o.Accept(ln) }, func(op.Ticket) {
		e.submit((&op.Op{Done: func(*op.Op) {}}).Abort(ln))
		e.settle()
	})
	require.ErrorIs(e, r.err, net.ErrClosed)
	_, err := peer.Read(make([]byte, 1))
	require.Error(e, err, "the connection is open although nobody has it")
}

func closedLoopClosesAccepted(e *env) {
	t := e.tapped()
	t.hold = isCode(op.Accept)
	l := e.start()
	ln, sa := e.listening(8)
	e.dial(sa)
	r := tooLate(e, t, func(o *op.Op) *op.Op { return o.Accept(ln) }, func(op.Ticket) { e.beginClosing(l) })
	require.ErrorIs(e, r.err, net.ErrClosed)
}

// beginClosing closes the loop and returns once it has turned to closing, though
// it may be unable to end.
func (e *env) beginClosing(l *proactor.Loop) {
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	e.Cleanup(func() { require.NoError(e, await(e, closed)) })
	refused := func() bool { return l.Post(func() {}) != nil }
	require.Eventually(e, refused, patience, time.Millisecond)
}

func closedLoopClosesOpened(e *env) {
	t := e.tapped()
	t.hold = isCode(op.OpenAt)
	l := e.start()
	dir := e.TempDir()
	e.settle()
	r := tooLate(e, t, func(o *op.Op) *op.Op {
		return o.OpenAt(nil, dir+"/new", unix.O_RDWR|unix.O_CREAT, 0o600)
	}, func(op.Ticket) { e.beginClosing(l) })
	require.ErrorIs(e, r.err, net.ErrClosed)
}

func closedDirectoryClosesOpened(e *env) {
	t := e.tapped()
	t.hold = isCode(op.OpenAt)
	e.start()
	dir := e.register(unix.Open(e.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	r := tooLate(e, t, func(o *op.Op) *op.Op {
		return o.OpenAt(dir, "new", unix.O_RDWR|unix.O_CREAT, 0o600)
	}, func(op.Ticket) {
		e.submit((&op.Op{Done: func(*op.Op) {}}).Abort(dir))
		e.settle()
	})
	require.ErrorIs(e, r.err, net.ErrClosed)
}

// Accepts whose listener, or whose loop, is closed while connections arrive:
// whatever they come to, nothing is left open.
func abandonedAccepts(e *env) {
	warm := e.dialAndClose()
	before := Descriptors()
	for i := range 30 {
		l, ran := e.again()
		ln, sa := e.listening(8)
		c := newCensus(4)
		for k := range c.runs {
			e.submit(closing(c.op(k)).Accept(ln))
		}
		dialed := make(chan struct{})
		go func() {
			defer close(dialed)
			for range 3 {
				warm(sa)
			}
		}()
		if i%2 == 0 {
			_, err := l.Submit((&op.Op{Done: func(*op.Op) {}}).Abort(ln))
			require.NoError(e, err)
		}
		require.NoError(e, l.Close())
		require.NoError(e, await(e, ran))
		await(e, dialed)
		c.once(e)
		c.errs(e, nil, net.ErrClosed)
	}
	e.sameDescriptors(before)
}

// dialAndClose returns a function that connects and closes at once, whether it
// is accepted or refused. It has been called, so that what package net opens
// once is open.
func (e *env) dialAndClose() func(*op.Sockaddr) {
	dial := func(sa *op.Sockaddr) {
		if c, err := net.DialTimeout("tcp", sa.AddrPort().String(), patience); err == nil {
			c.Close()
		}
	}
	fd, sa := e.listenFD(1)
	dial(sa)
	unix.Close(fd)
	return dial
}

func abandonedOpens(e *env) {
	dir := e.TempDir()
	before := Descriptors()
	for range 20 {
		l, ran := e.again()
		c := newCensus(50)
		for i := range c.runs {
			name := fmt.Sprintf("%s/%d", dir, i)
			e.submit(closing(c.op(i)).OpenAt(nil, name, unix.O_RDWR|unix.O_CREAT, 0o600))
		}
		require.NoError(e, l.Close())
		require.NoError(e, await(e, ran))
		c.once(e)
		c.errs(e, nil, net.ErrClosed)
	}
	e.sameDescriptors(before)
}

func failedDials(e *env) {
	l := e.start()
	full := e.deafServer()
	refusing, nobody := e.listenFD(1)
	unix.Close(refusing)
	before := Descriptors()
	ends := make(chan error, 2)
	done := func(c *proactor.Conn, err error) {
		require.Nil(e, c)
		ends <- err
	}
	for range 10 {
		_, err := l.DialTimeout("tcp", full.AddrPort().String(), time.Millisecond, done)
		require.NoError(e, err)
		_, err = l.Dial("tcp", nobody.AddrPort().String(), done)
		require.NoError(e, err)
		require.Error(e, await(e, ends))
		require.Error(e, await(e, ends))
	}
	_, err := l.Dial("tcp", "127.0.0.1", done)
	require.Error(e, err)
	e.sameDescriptors(before)
}

func acceptWithoutDescriptors(e *env) {
	e.start()
	ln, sa := e.listening(8)
	peer := e.dial(sa)
	restore := e.scarce()
	_, err := e.do(func(o *op.Op) *op.Op { return o.Accept(ln) })
	restore()
	require.ErrorIs(e, err, syscall.EMFILE)
	e.gets(ln, peer)
}
