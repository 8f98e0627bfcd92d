//go:build linux

package optest

import (
	"context"
	"io"
	"math/rand/v2"
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
