package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// WaitProcess waits for the end of a child process and reaps it (waitid(2) through a
// pidfd, pidfd_open(2), Linux 5.4): done gets its exit code, or the signal that killed
// it, and whether it dumped core. Nobody else may wait for it, such as exec.Cmd's Wait
// or os.Process's; a child of os.StartProcess is fine with a Release. Other children
// are left alone.
//
// ESRCH, returned: there is no such process. ECHILD, in the callback: it is not a
// child, or was reaped meanwhile. After Cancel the child is as it was, to be waited
// for again, unless it had just ended: then there is no error. It takes a descriptor.
// Any goroutine may call it.
func (l *Loop) WaitProcess(pid int, done func(syscall.WaitStatus, error)) (op.Ticket, error) {
	fd, err := openProcess(pid)
	if err != nil {
		return op.Ticket{}, err
	}
	h := new(op.Handle)
	// In blocking mode, in which a ring waits by itself; what waits for readiness asks
	// without waiting.
	if err := l.addHandle(h, fd, op.Stream, false); err != nil {
		op.CloseFD(fd)
		return op.Ticket{}, err
	}
	x := new(op.Exit)
	t, err := l.call(func(o *op.Op) { o.WaitID(h, x, 0) }, func(err error) {
		_ = l.abortHandle(h, nil)
		switch {
		case done == nil:
		case err != nil:
			var none syscall.WaitStatus
			done(none, err)
		default:
			done(x.Status(), nil)
		}
	})
	if err != nil {
		_ = l.abortHandle(h, nil)
	}
	return t, err
}
