//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The tests of waiting for child processes.
var processTests = []test{
	{"Process_ItsEndIsWaitedFor", processEnds},
	{"Process_IsLeftAsItWasByACancel", processCancel},
	{"Process_ThatIsNoChild", processStranger},
	{"Process_StaysWithNoWait", processNoWait},
	{"Process_WaitsEndWhenTheHandleCloses", processClose},
}

// childVariable makes the test program a child that ends with this exit code when
// its standard input does.
const childVariable = "PROACTOR_OPTEST_CHILD"

func child(code string) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	n, _ := strconv.Atoi(code)
	os.Exit(n)
}

// Child starts a child process that nobody reaps. It ends with the exit code when end
// is called, and at the latest, and killed, when the test ends.
func Child(t testing.TB, code int) (pid int, end func()) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	pid, err = syscall.ForkExec(os.Args[0], os.Args[:1], &syscall.ProcAttr{
		Env:   append(os.Environ(), childVariable+"="+strconv.Itoa(code)),
		Files: []uintptr{r.Fd(), 2, 2},
	})
	require.NoError(t, err)
	fd, err := unix.PidfdOpen(pid, 0) // its number may be another's by the end of the test
	require.NoError(t, err)
	t.Cleanup(func() {
		w.Close()
		defer unix.Close(fd)
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		for unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED, nil) == unix.EINTR {
		}
	})
	return pid, func() { w.Close() }
}

// pidfd returns a child's pidfd as a handle of the loop.
func (e *env) pidfd(pid int) *op.Handle {
	e.Helper()
	return e.register(unix.PidfdOpen(pid, 0))
}

// waitable reports whether a child has ended and nobody has reaped it.
func (e *env) waitable(h *op.Handle) bool {
	e.Helper()
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, h.FD(), &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil && info.Signo != 0
		}
	}
}

func processEnds(e *env) {
	e.start()
	for _, early := range []bool{false, true} {
		pid, end := Child(e, 42)
		h := e.pidfd(pid)
		var x op.Exit
		j := newJob()
		if early {
			end()
			e.readable(h.FD())
			require.True(e, e.waitable(h))
			e.put(j.WaitID(h, &x, 0))
		} else {
			e.put(j.WaitID(h, &x, 0))
			j.stillPending(e)
			end()
		}
		j.waitFor(e, 0, nil)
		require.Equal(e, pid, x.Pid())
		require.True(e, x.Status().Exited())
		require.Equal(e, 42, x.Status().ExitStatus())
		require.False(e, e.waitable(h), "it is reaped")
		e.put(j.WaitID(h, &x, 0))
		j.waitFor(e, 0, syscall.ECHILD)
		e.abort(h)
	}
	pid, _ := Child(e, 0)
	h := e.pidfd(pid)
	var x op.Exit
	j := newJob()
	e.put(j.WaitID(h, &x, 0))
	j.stillPending(e)
	require.NoError(e, syscall.Kill(pid, syscall.SIGKILL))
	j.waitFor(e, 0, nil)
	require.True(e, x.Status().Signaled())
	require.Equal(e, syscall.SIGKILL, x.Status().Signal())
	require.False(e, x.Status().CoreDump())
}

func processCancel(e *env) {
	l := e.start()
	pid, end := Child(e, 3)
	h := e.pidfd(pid)
	var x op.Exit
	j, other := newJob(), newJob()
	for range 3 {
		first := e.put(j.WaitID(h, &x, 0))
		second := e.put(other.WaitID(h, new(op.Exit), 0)) // in line
		j.stillPending(e)
		require.True(e, l.Cancel(first))
		j.waitFor(e, 0, op.ErrCanceled)
		other.stillPending(e)
		require.True(e, l.Cancel(second))
		other.waitFor(e, 0, op.ErrCanceled)
	}
	end()
	e.readable(h.FD())
	require.True(e, e.waitable(h))
	e.put(j.WaitID(h, &x, 0))
	j.waitFor(e, 0, nil)
	require.Equal(e, 3, x.Status().ExitStatus())
}

func processStranger(e *env) {
	e.start()
	var x op.Exit
	for _, pid := range []int{os.Getpid(), os.Getppid()} {
		h := e.pidfd(pid)
		_, err := e.do(func(o *op.Op) *op.Op { return o.WaitID(h, &x, 0) })
		require.ErrorIs(e, err, syscall.ECHILD)
	}
	h, _ := e.pair()
	_, err := e.do(func(o *op.Op) *op.Op { return o.WaitID(h, &x, 0) })
	require.ErrorIs(e, err, syscall.EBADF)
	o := &op.Op{Done: func(*op.Op) {}}
	_, err = e.loop.Submit(o.WaitID(h, &x, unix.WSTOPPED))
	require.ErrorIs(e, err, op.ErrInvalid)
}

func processNoWait(e *env) {
	e.start()
	pid, end := Child(e, 7)
	h := e.pidfd(pid)
	var x op.Exit
	first := newJob()
	e.put(first.WaitID(h, &x, unix.WNOWAIT))
	end()
	first.waitFor(e, 0, nil)
	for _, options := range []int{unix.WNOWAIT, unix.WNOWAIT, 0} {
		x = op.Exit{}
		_, err := e.do(func(o *op.Op) *op.Op { return o.WaitID(h, &x, options) })
		require.NoError(e, err)
		require.Equal(e, 7, x.Status().ExitStatus())
		require.Equal(e, pid, x.Pid())
	}
	require.False(e, e.waitable(h))
}

func processClose(e *env) {
	e.start()
	pid, end := Child(e, 9)
	h, again := e.pidfd(pid), e.pidfd(pid)
	var x op.Exit
	j, c := newJob(), newJob()
	e.put(j.WaitID(h, &x, 0))
	j.stillPending(e)
	e.put(c.Close(h, -1))
	j.waitFor(e, 0, net.ErrClosed)
	c.waitFor(e, 0, nil)
	end()
	_, err := e.do(func(o *op.Op) *op.Op { return o.WaitID(again, &x, 0) })
	require.NoError(e, err)
	require.Equal(e, 9, x.Status().ExitStatus())
}
