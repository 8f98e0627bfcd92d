//go:build linux

package optest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule06 = []test{
	{"Rule06_ACancelEndsWhatIsPending", rule06Pending},
	{"Rule06_TheCancelVerbEndsWhatIsPending", rule06Verb},
	{"Rule06_TheCancelVerbMissesWhatIsOver", rule06VerbMisses},
	{"Rule06_ADeadlineEndsWhatIsPending", rule06Deadlines},
	{"Rule06_ADeadlineThatIsOverEndsAtOnce", rule06PastDeadline},
	{"Rule06_TheZeroDeadlineIsNone", rule06NoDeadline},
	{"Rule06_ADeadlineEndsWithItsOperation", rule06NoDeadlineLeft},
	{"Rule06_ACancelBeforeTheLoopRuns", rule06BeforeRun},
	{"Rule06_ACancelInLineLeavesTheOthersAlone", rule06InLine},
	{"Rule06_ADeadlineInLineLeavesTheOthersAlone", rule06DeadlineInLine},
	{"Rule06_OneAmongThousandsIsCancelled", rule06OneOfMany},
	{"Rule06_ACancelAfterTheEndDoesNothing", rule06After},
	{"Rule06_ALateCancelDoesNotHitTheNextUse", rule06Late},
	{"Rule06_LateCancelsNeverHitTheNextUse", rule06LateRace},
	{"Rule06_ACancelledReceiveLosesNoData", rule06NoLoss},
	{"Rule06_ACancelledAcceptLosesNoConnection", rule06NoLostConnection},
	{"Rule06_AHandleIsOfUseAfterACancel", rule06StillUseful},
	{"Rule06_ARunningCallEndsBeforeItsCallback", rule06Running},
	{"Rule06_TimeoutsCompleteInTheOrderOfTheirTime", rule06TimeoutOrder},
	{"Rule06_ATimeoutIsNeverEarly", rule06NeverEarly},
	{"Rule06_AConnectGetsTheRealError", rule06ConnectErrors},
	{"Rule06_AConnectThatWaitsForRoomSucceeds", rule06ConnectWaits},
	{"Rule06_AConnectThatWaitsForRoomDoesNotSpin", rule06ConnectRests},
}

// startAll submits the operations, and requires them all to be pending.
func startAll(e *env, all []stuckOp) (jobs []*job, tickets []op.Ticket) {
	e.Helper()
	for _, x := range all {
		j := newJob()
		jobs, tickets = append(jobs, j), append(tickets, e.put(x.deed(&j.Op)))
	}
	e.settle()
	for i, j := range jobs {
		require.Empty(e, j.got, "%s doesn't wait", all[i].name)
	}
	return jobs, tickets
}

func rule06Pending(e *env) {
	e.start()
	all := stuckOps(e)
	jobs, tickets := startAll(e, all)
	for i, x := range all {
		require.True(e, e.loop.Cancel(tickets[i]), x.name)
		n, err := jobs[i].wait(e)
		require.Equal(e, result{0, op.ErrCanceled}, result{n, err}, x.name)
	}
}

func rule06Verb(e *env) {
	e.start()
	all := stuckOps(e)
	jobs, tickets := startAll(e, all)
	for i, x := range all {
		cancel := newJob()
		e.put(cancel.Cancel(tickets[i]))
		n, err := cancel.wait(e)
		require.Equal(e, result{0, nil}, result{n, err}, "cancel of %s", x.name)
		n, err = jobs[i].wait(e)
		require.Equal(e, result{0, op.ErrCanceled}, result{n, err}, x.name)
	}
}

func rule06VerbMisses(e *env) {
	e.start()
	h, peer := e.pair()
	recv, cancel := newJob(), newJob()
	t := e.put(recv.Recv(h, make([]byte, 1)))
	e.write(peer, []byte("x"))
	recv.waitFor(e, 1, nil)
	for _, t := range []op.Ticket{t, {}} {
		e.put(cancel.Cancel(t))
		cancel.waitFor(e, 0, op.ErrNotFound)
	}
	t = e.put(recv.Recv(h, make([]byte, 1)))
	e.put(cancel.Cancel(t))
	cancel.waitFor(e, 0, nil)
	recv.waitFor(e, 0, op.ErrCanceled)
	e.put(cancel.Cancel(t))
	cancel.waitFor(e, 0, op.ErrNotFound)
}

func rule06Deadlines(e *env) {
	e.start()
	type expiring struct {
		name string
		*job
		began time.Time
	}
	var jobs []expiring
	const d = 15 * time.Millisecond
	for i, x := range stuckOps(e) {
		if x.h == nil {
			continue // a timeout has no deadline
		}
		j := expiring{x.name, newJob(), time.Now()}
		if o := x.deed(&j.Op); i%2 == 0 {
			e.put(o.SetTimeout(d))
		} else {
			e.put(o.SetDeadline(j.began.Add(d)))
		}
		jobs = append(jobs, j)
	}
	for _, j := range jobs {
		n, err := j.wait(e)
		require.Zero(e, n, j.name)
		require.ErrorIs(e, err, os.ErrDeadlineExceeded, j.name)
		var timeout interface{ Timeout() bool }
		require.True(e, errors.As(err, &timeout) && timeout.Timeout(), j.name)
		require.GreaterOrEqual(e, time.Since(j.began), d, "%s ended too early", j.name)
	}
}

func rule06PastDeadline(e *env) {
	e.start()
	for _, before := range []time.Duration{0, time.Nanosecond, time.Hour} {
		for _, x := range stuckOps(e) {
			if x.h == nil {
				continue // a timeout has no deadline
			}
			j := newJob()
			e.put(x.deed(&j.Op).SetDeadline(time.Now().Add(-before)))
			n, err := j.wait(e)
			require.Equal(e, result{0, os.ErrDeadlineExceeded}, result{n, err}, x.name)
		}
	}
}

func rule06NoDeadline(e *env) {
	e.start()
	all := stuckOps(e)
	var jobs []*job
	for _, x := range all {
		j := newJob()
		e.put(x.deed(&j.Op).SetTimeout(time.Millisecond).SetDeadline(time.Time{}))
		jobs = append(jobs, j)
	}
	n, err := e.do(func(o *op.Op) *op.Op { return o.Timeout(10 * time.Millisecond) })
	require.Equal(e, result{0, nil}, result{n, err})
	for i, j := range jobs {
		require.Empty(e, j.got, all[i].name)
	}
}

// A deadline left over from an earlier use would end the next one.
func rule06NoDeadlineLeft(e *env) {
	e.start()
	h, peer := e.pair()
	recv, b := newJob(), make([]byte, 1)
	for i := range 50 {
		e.put(recv.Recv(h, b).SetTimeout(5 * time.Millisecond))
		if i%25 != 0 {
			e.write(peer, []byte("x"))
		}
		if _, err := recv.wait(e); err != nil {
			require.ErrorIs(e, err, os.ErrDeadlineExceeded)
		}
	}
	e.onLoop(func() {})
	for range 60 { // what came after a deadline
		e.put(recv.Recv(h, b).SetTimeout(time.Nanosecond))
		recv.wait(e)
	}
	t := e.put(recv.Recv(h, b))
	n, err := e.do(func(o *op.Op) *op.Op { return o.Timeout(15 * time.Millisecond) })
	require.Equal(e, result{0, nil}, result{n, err})
	recv.stillPending(e)
	e.loop.Cancel(t)
	recv.waitFor(e, 0, op.ErrCanceled)
}

func rule06BeforeRun(e *env) {
	e.loop = e.newLoop(Config{})
	all := stuckOps(e)
	var jobs []*job
	for _, x := range all {
		j := newJob()
		require.True(e, e.loop.Cancel(e.put(x.deed(&j.Op))), x.name)
		jobs = append(jobs, j)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.loop.Run(context.Background()) }()
	for i, x := range all {
		n, err := jobs[i].wait(e)
		require.Equal(e, result{0, op.ErrCanceled}, result{n, err}, x.name)
	}
	require.NoError(e, e.loop.Close())
	require.NoError(e, await(e, ran))
}

func rule06InLine(e *env) {
	e.start()
	h, peer := e.pair()
	var jobs [5]*job
	var tickets [5]op.Ticket
	for i := range jobs {
		jobs[i] = newJob()
		tickets[i] = e.put(jobs[i].Recv(h, make([]byte, 1)))
	}
	e.settle()
	for _, i := range []int{1, 4, 3} {
		require.True(e, e.loop.Cancel(tickets[i]))
		jobs[i].waitFor(e, 0, op.ErrCanceled)
	}
	jobs[0].stillPending(e)
	jobs[2].stillPending(e)
	e.write(peer, []byte("x"))
	jobs[0].waitFor(e, 1, nil)
	jobs[2].stillPending(e)
	require.True(e, e.loop.Cancel(tickets[2])) // what has moved up is pending, too
	jobs[2].waitFor(e, 0, op.ErrCanceled)
}

func rule06DeadlineInLine(e *env) {
	e.start()
	h, peer := e.narrowPair()
	full := e.stuff(h)
	recv, expiring, send, late := newJob(), newJob(), newJob(), newJob()
	e.put(recv.Recv(h, make([]byte, 1)))
	e.put(expiring.Recv(h, make([]byte, 1)).SetTimeout(5 * time.Millisecond))
	e.put(send.Send(h, []byte("a")))
	e.put(late.Send(h, []byte("b")).SetTimeout(5 * time.Millisecond))
	expiring.waitFor(e, 0, os.ErrDeadlineExceeded)
	late.waitFor(e, 0, os.ErrDeadlineExceeded)
	recv.stillPending(e)
	send.stillPending(e)
	e.write(peer, []byte("x"))
	recv.waitFor(e, 1, nil)
	e.read(peer, full)
	send.waitFor(e, 1, nil)
	e.put(late.Send(h, []byte("c")))
	late.waitFor(e, 1, nil)
	require.Equal(e, "ac", string(e.read(peer, 2)))
}

// More than the rings hold, in a line and in none.
func rule06OneOfMany(e *env) {
	e.start()
	h, peer := e.pair()
	n := many(5000, 2000)
	polls, recvs := make([]*job, n), make([]*job, n)
	pollTickets, recvTickets := make([]op.Ticket, n), make([]op.Ticket, n)
	for i := range n {
		polls[i], recvs[i] = newJob(), newJob()
		pollTickets[i] = e.put(polls[i].Poll(h, unix.POLLIN))
		recvTickets[i] = e.put(recvs[i].Recv(h, make([]byte, 1)))
	}
	e.settle()
	gone := map[int]bool{0: true, n / 3: true, n / 2: true, n - 1: true}
	for i := range gone {
		require.True(e, e.loop.Cancel(pollTickets[i]))
		require.True(e, e.loop.Cancel(recvTickets[i]))
		polls[i].waitFor(e, 0, op.ErrCanceled)
		recvs[i].waitFor(e, 0, op.ErrCanceled)
	}
	e.settle()
	for i := range n {
		require.Equal(e, !gone[i], polls[i].InFlight(), "poll %d", i)
		require.Equal(e, !gone[i], recvs[i].InFlight(), "recv %d", i)
	}
	e.write(peer, make([]byte, n-len(gone)))
	for i := range n {
		if !gone[i] {
			polls[i].waitFor(e, unix.POLLIN, nil)
			recvs[i].waitFor(e, 1, nil)
		}
	}
}

func rule06After(e *env) {
	e.start()
	for c, d := range deeds(e) {
		j := newJob()
		done := j.Done
		j.Done = func(o *op.Op) { dispose(o); done(o) }
		t := e.put(d(&j.Op))
		n, err := j.wait(e)
		require.False(e, e.loop.Cancel(t), "%v", c)
		e.settle()
		again, err2 := j.Result()
		require.Equal(e, result{n, err}, result{again, err2}, "%v", c)
		require.Empty(e, j.got, "%v", c)
	}
	require.False(e, e.loop.Cancel(op.Ticket{}))
}

func rule06Late(e *env) {
	e.start()
	h, peer := e.pair()
	recv, cancel := newJob(), newJob()
	var old []op.Ticket
	for range 50 {
		t := e.put(recv.Recv(h, make([]byte, 1)))
		for _, t := range old {
			require.False(e, e.loop.Cancel(t))
			require.NotEqual(e, t, op.Ticket{})
		}
		if len(old) > 0 {
			e.put(cancel.Cancel(old[len(old)-1]))
			cancel.waitFor(e, 0, op.ErrNotFound)
		}
		recv.stillPending(e)
		e.write(peer, []byte("x"))
		recv.waitFor(e, 1, nil)
		old = append(old, t)
	}
}

// The operation is resubmitted by its callback while others cancel what they
// think is under way. Only a ticket of the submission itself may end it.
func rule06LateRace(e *env) {
	e.start()
	h, peer := e.pair()
	n := many(3000, 500)
	tickets := make(chan op.Ticket, n+1)
	over := make(chan error, 1)
	b, left := make([]byte, 1), n
	o := &op.Op{}
	o.Done = func(o *op.Op) {
		_, err := o.Result()
		if left--; err != nil || left == 0 {
			over <- err
			return
		}
		t, err := e.loop.Submit(o.Recv(h, b))
		if err != nil {
			over <- err
		}
		tickets <- t
	}
	tickets <- e.put(o.Recv(h, b))
	hits := make(chan int)
	go func() {
		hit := 0
		last := <-tickets
		for range n - 1 {
			next := <-tickets // so last is over
			if e.loop.Cancel(last) {
				hit++
			}
			last = next
		}
		hits <- hit
	}()
	e.write(peer, make([]byte, n))
	require.NoError(e, await(e, over))
	require.Zero(e, await(e, hits), "cancels that found an operation which was over")
}

// The peer writes a byte now and then while receives are being ended.
func rule06NoLoss(e *env) {
	e.start()
	h, peer := e.pair()
	turns := many(700, 200)
	write := make(chan struct{}, turns)
	go func() {
		at := 0
		for range write {
			if _, err := peer.Write(pattern(at, 1)); err != nil {
				break
			}
			at++
		}
		_ = peer.Close()
	}()
	var got []byte
	ends, writes := 0, 0
	for i := range turns {
		if rand.IntN(2) == 0 {
			write <- struct{}{}
			writes++
		}
		b, j := make([]byte, 3), newJob()
		t := e.put(j.Recv(h, b).SetTimeout(time.Duration(rand.IntN(100)) * time.Microsecond))
		if i%2 == 0 {
			e.loop.Cancel(t)
		}
		n, err := j.wait(e)
		if err != nil {
			require.True(e, isEnd(err) && n == 0, "%d, %v", n, err)
			ends++
		}
		got = append(got, b[:n]...)
	}
	close(write)
	require.Positive(e, ends, "nothing was cancelled")
	require.NotEmpty(e, got, "everything was cancelled")
	requireSame(e, pattern(0, writes), append(got, e.receiveRest(h)...))
}

// receiveRest receives until the end of the stream.
func (e *env) receiveRest(h *op.Handle) (all []byte) {
	e.Helper()
	for b := make([]byte, 100); ; {
		n, err := e.do(func(o *op.Op) *op.Op { return o.Recv(h, b) })
		if err != nil {
			require.Equal(e, io.EOF, err)
			return all
		}
		all = append(all, b[:n]...)
	}
}

func rule06NoLostConnection(e *env) {
	e.start()
	ln, name := e.listener()
	n := many(300, 100)
	got := make(chan int, 10*n)
	accepted := 0
	for i := range n {
		fd := e.knock(name)
		_, err := unix.Write(fd, pattern(i, 1))
		require.NoError(e, err)
		o := &op.Op{Done: func(o *op.Op) {
			fd, err := o.Result()
			if err != nil {
				fd = -1
			}
			got <- fd
		}}
		t := e.put(o.Accept(ln).SetTimeout(time.Duration(rand.IntN(100)) * time.Microsecond))
		e.loop.Cancel(t)
		accepted += e.accepted(await(e, got), accepted)
	}
	for accepted < n {
		e.put((&op.Op{Done: func(o *op.Op) { fd, _ := o.Result(); got <- fd }}).Accept(ln))
		accepted += e.accepted(await(e, got), accepted)
	}
}

// accepted requires an accepted descriptor to be the one of client i. It returns
// how many there are: 0 if fd is none.
func (e *env) accepted(fd, i int) int {
	e.Helper()
	if fd < 0 {
		return 0
	}
	var b [2]byte
	n, err := unix.Read(fd, b[:])
	require.NoError(e, err)
	require.NoError(e, unix.Close(fd))
	require.Equal(e, pattern(i, 1), b[:n])
	return 1
}

func rule06StillUseful(e *env) {
	e.start()
	for i, x := range stuckOps(e) {
		if x.name == "tcp connect" {
			continue // the kernel goes on connecting
		}
		for range 3 {
			j := newJob()
			t := e.put(x.deed(&j.Op))
			if i%2 == 0 {
				j.stillPending(e)
			}
			require.True(e, e.loop.Cancel(t), x.name)
			j.waitFor(e, 0, op.ErrCanceled)
		}
	}
	h, peer := e.narrowPair()
	full := e.stuff(h)
	recv, send := newJob(), newJob()
	e.loop.Cancel(e.put(recv.Recv(h, make([]byte, 9))))
	e.loop.Cancel(e.put(send.Send(h, []byte("no"))))
	recv.waitFor(e, 0, op.ErrCanceled)
	send.waitFor(e, 0, op.ErrCanceled)
	e.put(recv.Recv(h, make([]byte, 9)))
	e.put(send.Send(h, []byte("yes")))
	e.write(peer, []byte("in"))
	e.read(peer, full)
	recv.waitFor(e, 2, nil)
	send.waitFor(e, 3, nil)
	require.Equal(e, "yes", string(e.read(peer, 3)))
}

// The open of a named pipe waits for the other side. An engine that can't
// interrupt it answers when it is over, and one that can, at once.
func rule06Running(e *env) {
	e.start()
	path := filepath.Join(e.TempDir(), "pipe")
	require.NoError(e, unix.Mkfifo(path, 0o600))
	j := newJob()
	t := e.put(j.OpenAt(nil, path, unix.O_RDONLY, 0))
	e.settle()
	e.loop.Cancel(t)
	e.settle()
	w, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0) // doesn't wait
	require.NoError(e, err)
	e.keep(w)
	fd, err := j.wait(e)
	if err != nil {
		require.Equal(e, result{0, op.ErrCanceled}, result{fd, err})
		return
	}
	require.NoError(e, unix.Close(fd))
}

func rule06TimeoutOrder(e *env) {
	e.start()
	n := many(2000, 500)
	type span struct{ from, to int64 } // a timeout's time is between these
	var order []span                   // the loop goroutine's
	ended := make(chan error, 2*n)
	var tickets []op.Ticket
	e.onLoop(func() {
		for _, i := range rand.Perm(n) {
			d := time.Duration(i)*2*time.Microsecond + 5*time.Millisecond
			x := &span{from: op.Now() + int64(d)}
			o := &op.Op{Done: func(o *op.Op) {
				_, err := o.Result()
				if err == nil {
					order = append(order, *x)
				}
				ended <- err
			}}
			t, err := e.loop.Submit(o.Timeout(d))
			x.to = op.Now() + int64(d)
			if err != nil {
				ended <- err
			}
			tickets = append(tickets, t)
		}
	})
	for i := 0; i < n; i += 3 { // holes, so that the rest has to move
		e.loop.Cancel(tickets[i])
	}
	for range n {
		if err := await(e, ended); err != nil {
			require.ErrorIs(e, err, op.ErrCanceled)
		}
	}
	e.onLoop(func() {})
	require.Greater(e, len(order), n/2)
	latest := int64(0)
	for _, x := range order {
		latest = max(latest, x.from)
		require.GreaterOrEqual(e, x.to, latest, "one whose time was later came before")
	}
}

func rule06NeverEarly(e *env) {
	e.start()
	n := many(120, 50)
	const d = 500 * time.Microsecond
	early := make(chan time.Duration, n)
	for range n {
		var began time.Time
		o := &op.Op{Done: func(*op.Op) { early <- d - time.Since(began) }}
		o.Timeout(d)
		began = time.Now()
		e.put(o)
		time.Sleep(time.Duration(rand.IntN(20)) * time.Microsecond) // finds the loop at different points
	}
	for range n {
		require.LessOrEqual(e, await(e, early), time.Duration(0), "early by")
	}
}

func rule06ConnectErrors(e *env) {
	e.start()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	port := closed.Addr().(*net.TCPAddr).Port
	require.NoError(e, closed.Close())
	dead := unixName()
	bound := e.socket(unix.AF_UNIX) // bound, but nobody listens
	require.NoError(e, unix.Bind(bound, &unix.SockaddrUnix{Name: dead}))
	for what, x := range map[string]struct {
		to   *op.Sockaddr
		fam  int
		want syscall.Errno
	}{
		"closed port":    {tcpAddr(e, port), unix.AF_INET, syscall.ECONNREFUSED},
		"broadcast":      {broadcast(e, port), unix.AF_INET, syscall.ENETUNREACH},
		"missing path":   {e.unixAddr("/nonexistent/socket"), unix.AF_UNIX, syscall.ENOENT},
		"deaf socket":    {e.unixAddr(dead), unix.AF_UNIX, syscall.ECONNREFUSED},
		"another family": {tcpAddr(e, port), unix.AF_UNIX, syscall.EINVAL},
	} {
		h := e.socketHandle(x.fam)
		n, err := e.do(func(o *op.Op) *op.Op { return o.Connect(h, x.to) })
		require.ErrorIs(e, err, x.want, what)
		require.Zero(e, n, what)
		var call *os.SyscallError
		require.ErrorAs(e, err, &call, what)
		require.Equal(e, "connect", call.Syscall)
	}
	h, _ := e.pair()
	_, other := e.listener()
	_, err = e.do(func(o *op.Op) *op.Op { return o.Connect(h, e.unixAddr(other)) })
	require.ErrorIs(e, err, syscall.EISCONN)
}

// broadcast is the broadcast address of the loopback network, to which TCP can't
// connect: nothing is sent.
func broadcast(e *env, port int) *op.Sockaddr {
	e.Helper()
	sa, err := op.IPSockaddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 255, 255}), uint16(port)))
	require.NoError(e, err)
	return sa
}

func rule06ConnectWaits(e *env) {
	e.start()
	to, room := e.fullUnix()
	h := e.socketHandle(unix.AF_UNIX)
	connect, send := newJob(), newJob()
	e.put(connect.Connect(h, to))
	e.put(send.Send(h, []byte("hello")))
	connect.stillPending(e)
	room()
	connect.waitFor(e, 0, nil)
	send.waitFor(e, 5, nil)
	peer, err := unix.Getpeername(h.FD())
	require.NoError(e, err, "connected, it says, but it isn't")
	require.Equal(e, to.Path(), peer.(*unix.SockaddrUnix).Name)
}

// No event tells when a backlog has room again, so an engine has to look now and
// then. A socket that isn't connected counts as writable, though: an engine that
// waits for that looks all the time.
func rule06ConnectRests(e *env) {
	e.start()
	to, _ := e.fullUnix()
	h := e.socketHandle(unix.AF_UNIX)
	connect := newJob()
	t := e.put(connect.Connect(h, to))
	connect.stillPending(e)
	const d = 50 * time.Millisecond
	before := e.loop.Stats().Turns
	_, err := e.do(func(o *op.Op) *op.Op { return o.Timeout(d) })
	require.NoError(e, err)
	e.settle()
	require.Less(e, e.loop.Stats().Turns-before, uint64(d/(500*time.Microsecond)), "turns of the loop")
	connect.stillPending(e)
	e.loop.Cancel(t)
	connect.waitFor(e, 0, op.ErrCanceled)
}
