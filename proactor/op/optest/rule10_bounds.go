//go:build linux

package optest

import (
	"net"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule10 = []test{
	{"Rule10_FiftyThousandOperationsOnARingOf64", fiftyThousand},
	{"Rule10_FiftyThousandOperationsAreCancelled", fiftyThousandCancelled},
	{"Rule10_FiftyThousandOperationsEndWithTheLoop", fiftyThousandClosed},
	{"Rule10_QueuedReceivesKeepTheirOrder", queuedKeepOrder},
	{"Rule10_TheCompletionQueueMayOverflow", completionOverflow},
	{"Rule10_AFloodFromOneCallbackIsTakenIn", floodFromCallback},
	{"Rule10_PostAnswersFullAtItsLimit", postLimit},
	{"Rule10_ClosureVerbsAnswerFullAtTheirLimit", callLimit},
	{"Rule10_DialAcceptAndOpenFileAnswerFullToo", callLimitOfOpeners},
	{"Rule10_ClosingIsNeverRefusedForAFullQueue", closeAtLimit},
	{"Rule10_OperationsOfTheCallerHaveNoLimit", noLimitForCallers},
	{"Rule10_TheStatisticsShowEveryQueue", statsShowQueues},
	{"Rule10_JobsWaitInLineForAWorker", jobsWait},
}

const crowd = 50_000

// crowded submits 50,000 operations of all sorts to a loop whose engine has 64
// entries. All of them are pending when it returns. The peers of the
// connections are those that it returns.
func crowded(e *env) (*census, []op.Ticket, []int) {
	const conns = 10
	e.startWith(Config{Entries: 64, Workers: 2})
	c := newCensus(crowd)
	tickets := make([]op.Ticket, crowd)
	var hs [conns]*op.Handle
	peers := make([]int, conns)
	for i := range hs {
		hs[i], peers[i] = e.rawPair(unix.SOCK_STREAM)
	}
	memory := make([]byte, crowd)
	for i := range tickets {
		o, h := c.op(i), hs[i/10%conns]
		switch i % 10 {
		case 0, 1:
			o.Poll(h, unix.POLLIN)
		case 2:
			o.Timeout(time.Hour)
		case 3:
			o.Poll(h, unix.POLLIN).SetTimeout(time.Hour)
		default:
			o.Recv(h, memory[i:i+1])
		}
		tickets[i] = e.submit(o)
	}
	e.settle()
	require.Equal(e, crowd, c.left, "something ended by itself")
	return c, tickets, peers
}

func fiftyThousand(e *env) {
	c, tickets, peers := crowded(e)
	_, path := e.file([]byte("contents"))
	h := e.register(unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0))
	files := newCensus(1000)
	for i := range files.runs {
		e.submit(files.op(i).ReadAt(h, make([]byte, 8), 0))
	}
	await(e, files.all) // the crowd is in nobody's way
	files.once(e)
	files.errs(e, nil)
	for i := 2; i < crowd; i += 10 {
		e.loop.Cancel(tickets[i]) // the timeouts end like this
	}
	// Each connection has as many receives as bytes.
	chunk := make([]byte, crowd/10*6/len(peers))
	for _, p := range peers {
		for sent := 0; sent < len(chunk); {
			n, err := unix.Write(p, chunk[sent:])
			require.NoError(e, err)
			sent += n
		}
	}
	await(e, c.all)
	c.once(e)
	for i, r := range c.results {
		want := result{1, nil} // POLLIN is 1, and so is what each receive gets
		if i%10 == 2 {
			want = result{0, op.ErrCanceled}
		}
		if r != want {
			e.Fatalf("operation %d ended with %v", i, r)
		}
	}
	e.inFlight(0)
}

// inFlight waits until the statistics show so many operations in flight: they
// are published when the loop goes to sleep.
func (e *env) inFlight(n int) (s proactor.Stats) {
	e.Helper()
	reached := func() bool {
		s = e.loop.Stats()
		return s.InFlight == n && s.Posts == 0
	}
	require.Eventually(e, reached, patience, time.Millisecond, "operations in flight")
	return s
}

func fiftyThousandCancelled(e *env) {
	c, tickets, _ := crowded(e)
	for _, t := range tickets {
		require.True(e, e.loop.Cancel(t) || c.left < crowd)
	}
	await(e, c.all)
	c.once(e)
	c.errs(e, op.ErrCanceled)
	for _, t := range tickets[:100] {
		require.False(e, e.loop.Cancel(t))
	}
}

func fiftyThousandClosed(e *env) {
	c, _, _ := crowded(e)
	require.NoError(e, e.loop.Close())
	c.once(e)
	c.errs(e, net.ErrClosed)
}

func queuedKeepOrder(e *env) {
	const n = 10_000
	e.startWith(Config{Entries: 64})
	h, peer := e.pair()
	var order []byte
	all := make(chan struct{})
	for range n {
		b := make([]byte, 1)
		e.submit((&op.Op{Done: func(*op.Op) {
			if order = append(order, b[0]); len(order) == n {
				close(all)
			}
		}}).Recv(h, b))
	}
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i % 251)
	}
	_, err := peer.Write(data)
	require.NoError(e, err)
	await(e, all)
	require.Equal(e, data, order)
}

// Thousands of completions arrive while a callback keeps the loop from reaping
// them: the queue of a ring of 64 has room for 256.
func completionOverflow(e *env) {
	const n = 5000
	e.startWith(Config{Entries: 64})
	h, peer := e.rawPair(unix.SOCK_STREAM)
	c := newCensus(n)
	for i := range n {
		e.submit(c.op(i).Poll(h, unix.POLLIN))
	}
	e.settle()
	e.onLoop(func() {
		unix.Write(peer, []byte("x")) // completes all of them
		for range 100 {
			unix.Poll([]unix.PollFd{{Fd: int32(h.FD()), Events: unix.POLLIN}}, -1)
		}
	})
	await(e, c.all)
	c.once(e)
	c.errs(e, nil)
	e.onLoop(func() {}) // and it goes on
}

func floodFromCallback(e *env) {
	const n = 20_000
	e.startWith(Config{Entries: 64})
	c := newCensus(n)
	e.onLoop(func() {
		for i := range n {
			e.submit(c.op(i).Nop())
		}
	})
	await(e, c.all)
	c.once(e)
	c.errs(e, nil)
}

func postLimit(e *env) {
	const limit = 5
	l := e.newLoop(Config{}, proactor.WithMaxPosts(limit))
	ran := 0
	post := func() error { return l.Post(func() { ran++ }) }
	for range limit {
		require.NoError(e, post())
	}
	require.ErrorIs(e, post(), op.ErrFull)
	require.Equal(e, limit, l.Stats().Posts)
	_, err := l.RunOnce(0)
	require.NoError(e, err)
	require.Equal(e, limit, ran)
	require.Zero(e, l.Stats().Posts)
	require.NoError(e, post(), "there is room again")
	// A function that runs makes room for the one that it posts.
	require.NoError(e, l.Post(func() {
		for range limit - 1 { // the one before it has run, too
			require.NoError(e, post())
		}
	}))
	e.drive(l, func() bool { return ran == 2*limit })
}

func callLimit(e *env) {
	const limit = 3
	l := e.start(proactor.WithMaxCalls(limit))
	a, b := e.fds(unix.SOCK_STREAM)
	e.Cleanup(func() { unix.Close(b) })
	conn, err := l.NewConn(a)
	require.NoError(e, err)
	_, path := e.file([]byte("contents"))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(e, err)
	f, err := l.NewFile(fd, path)
	require.NoError(e, err)
	got := make(chan result, limit)
	for range limit {
		_, err = conn.Recv(make([]byte, 1), func(n int, err error) { got <- result{n, err} })
		require.NoError(e, err)
	}
	require.Equal(e, limit, l.Stats().Calls)
	number := func(int, error) { panic("it was refused") }
	plain := func(error) { panic("it was refused") }
	refused := func(_ any, err error) {
		e.Helper()
		require.ErrorIs(e, err, op.ErrFull)
	}
	refused(conn.Recv(make([]byte, 1), number))
	refused(conn.Send([]byte("x"), number))
	refused(conn.SendBuffers([][]byte{{1}}, number))
	refused(conn.CloseWrite(plain))
	refused(f.ReadAt(make([]byte, 1), 0, number))
	refused(f.WriteAt([]byte("x"), 0, number))
	refused(f.Sync(false, plain))
	refused(l.After(0, plain))
	unix.Write(b, []byte("x"))
	require.Equal(e, result{1, nil}, await(e, got))
	e.onLoop(func() {})
	_, err = conn.Send([]byte("x"), nil)
	require.NoError(e, err, "there is room again")
}

// The contract names the operations behind the closure verbs without exception.
func callLimitOfOpeners(e *env) {
	l := e.start(proactor.WithMaxCalls(1))
	e.settle()
	ln, err := l.Listen("tcp4", "127.0.0.1:0")
	require.NoError(e, err)
	_, err = l.After(time.Hour, func(error) {})
	require.NoError(e, err)
	_, err = ln.Accept(func(c *proactor.Conn, err error) {})
	require.ErrorIs(e, err, op.ErrFull, "Accept")
	_, err = l.Dial("tcp4", ln.Addr().String(), func(c *proactor.Conn, err error) {})
	require.ErrorIs(e, err, op.ErrFull, "Dial")
	_, err = l.OpenFile("/dev/null", unix.O_RDONLY, 0, func(f *proactor.File, err error) {})
	require.ErrorIs(e, err, op.ErrFull, "OpenFile")
}

func closeAtLimit(e *env) {
	l := e.start(proactor.WithMaxCalls(1))
	a, b := e.fds(unix.SOCK_STREAM)
	e.Cleanup(func() { unix.Close(b) })
	conn, err := l.NewConn(a)
	require.NoError(e, err)
	ended := make(chan error, 2)
	_, err = conn.Recv(make([]byte, 1), func(_ int, err error) { ended <- err })
	require.NoError(e, err)
	require.NoError(e, conn.Close(func(err error) { ended <- err }))
	require.ErrorIs(e, await(e, ended), net.ErrClosed)
	require.NoError(e, await(e, ended))
}

func noLimitForCallers(e *env) {
	l := e.start(proactor.WithMaxCalls(1), proactor.WithMaxPosts(1))
	c := newCensus(5000)
	for i := range c.runs {
		_, err := l.Submit(c.op(i).Timeout(time.Millisecond))
		require.NoError(e, err)
	}
	await(e, c.all)
	c.once(e)
}

func statsShowQueues(e *env) {
	l := e.start()
	h, peer := e.rawPair(unix.SOCK_STREAM)
	c := newCensus(6)
	for i := range 3 {
		e.submit(c.op(i).Recv(h, make([]byte, 1)))
	}
	e.submit(c.op(3).Poll(h, unix.POLLIN).SetTimeout(time.Hour))
	e.submit(c.op(4).Timeout(time.Hour))
	k := e.submit(c.op(5).Timeout(time.Hour))
	_, err := l.After(time.Hour, func(error) {})
	require.NoError(e, err)
	s := e.inFlight(7)
	require.Equal(e, 2, s.Started, "the head of the line and the poll are with the engine")
	require.Equal(e, 4, s.Deadlines)
	require.Equal(e, 1, s.Handles)
	require.Equal(e, 1, s.Calls)
	require.Zero(e, s.Due)
	require.EqualValues(e, 7, s.Submitted)
	require.EqualValues(e, 2, s.Engine.Starts)
	require.NotZero(e, s.Engine.Enters)
	unix.Write(peer, []byte("xyz"))
	l.Cancel(k)
	s = e.inFlight(2)
	require.NotZero(e, s.Engine.Waits)
	require.Equal(e, 2, s.Deadlines)
	require.Zero(e, s.Started)
}

func jobsWait(e *env) {
	const n = 2000
	e.startWith(Config{Entries: 64, Workers: 1})
	h, _ := e.file(nil)
	c := newCensus(n)
	for i := range n {
		e.submit(c.op(i).WriteAt(h, []byte{byte(i)}, int64(i)))
	}
	await(e, c.all)
	c.once(e)
	c.errs(e, nil)
	b := make([]byte, n)
	_, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(h, b, 0) })
	require.NoError(e, err)
	for i := range b {
		require.Equal(e, byte(i), b[i])
	}
	require.LessOrEqual(e, e.loop.Stats().Engine.Workers, 1)
}
