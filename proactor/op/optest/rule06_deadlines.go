//go:build linux

package optest

import (
	"errors"
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
	before, begin := e.stats().Turns, time.Now()
	_, err := e.do(func(o *op.Op) *op.Op { return o.Timeout(50 * time.Millisecond) })
	require.NoError(e, err)
	turns := e.stats().Turns - before
	require.Less(e, turns, uint64(time.Since(begin)/(500*time.Microsecond)), "turns of the loop")
	connect.stillPending(e)
	e.loop.Cancel(t)
	connect.waitFor(e, 0, op.ErrCanceled)
}
