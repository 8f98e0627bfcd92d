package blocking

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// scratch is what a system call needs besides the operation.
type scratch = op.Scratch

// quick is how many bytes a system call may move that is hidden from the Go scheduler:
// a few microseconds.
const quick = 32 << 10

// try executes the waiter's operation, prepared, once and at once: done is false if
// the kernel would have to wait. The operation stays the waiter's.
func (w *waiter) try() (n int, done bool, err error) {
	for {
		ret := op.Attempt(&w.op, &w.scratch, w.op.Req().Total() > quick)
		switch {
		case ret >= 0:
			return int(ret), true, nil
		case ret == op.EAGAIN:
			return 0, false, nil
		case ret != -int32(unix.EINTR):
			return 0, true, syscall.Errno(-ret)
		}
	}
}

// send sends b once and at once: done is false if the kernel would
// have to wait. An operation executed by try does the same, and costs 1-2 % more of an
// echo's CPU time.
func (e *endpoint) send(b []byte) (n int, done bool, err error) {
	if err := e.net.loop.Use(e.gate.state); err != nil {
		return 0, true, err
	}
	defer e.net.loop.Unuse(e.gate.state)
	const flags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT
	fd, size := uintptr(e.sock.FD()), uintptr(len(b))
	for {
		var sent uintptr
		var errno syscall.Errno
		if len(b) > quick {
			sent, _, errno = syscall.Syscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), size, flags, 0, 0)
		} else {
			sent, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), size, flags, 0, 0)
		}
		switch errno {
		case 0:
			return int(sent), true, nil
		case unix.EAGAIN:
			return 0, false, nil
		case unix.EINTR:
		default:
			return 0, true, errno
		}
	}
}

// shutdown ends a side of a connection (shutdown(2)).
func shutdown(fd, how int) error { return os.NewSyscallError("shutdown", unix.Shutdown(fd, how)) }

// keepAlive has the connections that a socket accepts probe their peers as those of
// package net do: they inherit it. On sockets that aren't TCP it does no harm.
func keepAlive(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
}

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
