package proactor

import (
	"encoding/binary"
	"io"
	"os"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

func threadID() int64 { return int64(unix.Gettid()) }

// prepareDescriptor tells what fd is and whether it has offsets, and makes it fit
// for a loop: what can wait for readiness is made non-blocking, because on epoll
// the try comes first. Flags are those that it was opened with, or unknownFlags.
func prepareDescriptor(fd, flags int) (kind op.Kind, seek bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, false, os.NewSyscallError("fstat", err)
	}
	if flags == unknownFlags {
		if flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil {
			return 0, false, os.NewSyscallError("fcntl", err)
		}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		kind = socketKind(fd)
	case unix.S_IFIFO, unix.S_IFCHR, 0: // 0: an eventfd, a timerfd and their like
		kind = op.Stream
		_, err := unix.Seek(fd, 0, io.SeekCurrent)
		seek = err == nil
	default:
		kind, seek = op.File, true
		if flags&unix.O_DIRECT != 0 {
			kind = op.Direct
		}
	}
	if !kind.IsFile() && flags&unix.O_NONBLOCK == 0 {
		err = unix.SetNonblock(fd, true)
	}
	return kind, seek, os.NewSyscallError("fcntl", err)
}

func isUnix(fd int) bool {
	d, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && d == unix.AF_UNIX
}

// isDatagram reports whether fd is a socket that keeps the bounds of messages and
// has no connection.
func isDatagram(fd int) bool {
	t, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && t != unix.SOCK_STREAM && t != unix.SOCK_SEQPACKET
}

func isUDP(fd int) bool {
	p, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && p == unix.IPPROTO_UDP
}

func socketKind(fd int) op.Kind {
	switch t, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); t {
	case unix.SOCK_STREAM:
		return op.Socket
	case unix.SOCK_SEQPACKET:
		return op.Seqpacket
	}
	return op.Packet
}

// socketTypes are the types of the kinds of sockets.
var socketTypes = [...]int{op.Socket: unix.SOCK_STREAM, op.Packet: unix.SOCK_DGRAM, op.Seqpacket: unix.SOCK_SEQPACKET}

// newSocket returns a socket of the family.
func newSocket(family int, k op.Kind) (int, error) {
	fd, err := unix.Socket(family, socketTypes[k]|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

// setNoDelay switches Nagle's algorithm off, as package net does. On sockets
// that aren't TCP it fails without harm.
func setNoDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// socketName returns the socket's own or its peer's address.
func socketName(fd int, peer bool) (*op.Sockaddr, error) {
	trap, name := uintptr(unix.SYS_GETSOCKNAME), "getsockname"
	if peer {
		trap, name = unix.SYS_GETPEERNAME, "getpeername"
	}
	sa := new(op.Sockaddr)
	p, n := sa.Buffer()
	if _, _, e := unix.Syscall(trap, uintptr(fd), uintptr(p), uintptr(unsafe.Pointer(n))); e != 0 {
		return nil, os.NewSyscallError(name, e)
	}
	return sa, nil
}

// newEventFD returns an eventfd, close-on-exec, to which initial has been added.
func newEventFD(initial uint64, semaphore bool) (int, error) {
	flags := unix.EFD_CLOEXEC | unix.EFD_NONBLOCK
	if semaphore {
		flags |= unix.EFD_SEMAPHORE
	}
	fd, err := unix.Eventfd(0, flags)
	if err != nil {
		return -1, os.NewSyscallError("eventfd", err)
	}
	var b [8]byte // the call itself takes 32 bits
	binary.NativeEndian.PutUint64(b[:], initial)
	if _, err := unix.Write(fd, b[:]); err != nil {
		op.CloseFD(fd)
		return -1, os.NewSyscallError("write", err)
	}
	return fd, nil
}

// openProcess returns a pidfd, close-on-exec.
func openProcess(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	return fd, os.NewSyscallError("pidfd_open", err)
}

func fileSize(fd int) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Size, nil
}

// pinThread keeps the calling thread, to which the goroutine is locked, on the
// i-th CPU that it may use. It returns what takes that back. It is a favour:
// where it fails the thread stays free.
func pinThread(i int) (unpin func()) {
	var may, one unix.CPUSet
	if unix.SchedGetaffinity(0, &may) != nil {
		return func() {}
	}
	i %= may.Count()
	for cpu := 0; ; cpu++ {
		if !may.IsSet(cpu) {
			continue
		}
		if i == 0 {
			one.Set(cpu)
			break
		}
		i--
	}
	_ = unix.SchedSetaffinity(0, &one)
	return func() { _ = unix.SchedSetaffinity(0, &may) }
}

// wallTimer returns a descriptor that is readable when the wall clock shows t.
func wallTimer(t time.Time) (int, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return -1, os.NewSyscallError("timerfd_create", err)
	}
	when := unix.NsecToTimespec(max(t.UnixNano(), 1)) // 0 would disarm it
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: when}, nil); err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("timerfd_settime", err)
	}
	return fd, nil
}
