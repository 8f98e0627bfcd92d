package main

import (
	"net"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reactor is the textbook's: epoll, level-triggered, one goroutine, reads and
// writes as the descriptors are ready.
//
// A raw one tells Go's scheduler nothing of its system calls: that is as fast as
// C, and needs a yield every millisecond for the rest of the program to live.
type reactor struct {
	ep, ln int
	raw    bool
	buf    [bufferSize]byte
	unsent map[int][]byte // what a full socket didn't take
}

func serveReactor(raw bool) (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	r := &reactor{ln: int(f.Fd()), raw: raw, unsent: map[int][]byte{}}
	if r.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(r.ln, true); err != nil {
		return nil, err
	}
	if err := r.watch(unix.EPOLL_CTL_ADD, r.ln, unix.EPOLLIN); err != nil {
		return nil, err
	}
	go func() {
		defer f.Close()
		fatal(r.run())
	}()
	return ln.Addr(), nil
}

func (r *reactor) watch(how, fd int, events uint32) error {
	return unix.EpollCtl(r.ep, how, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (r *reactor) run() error {
	if r.raw {
		runtime.LockOSThread()
	}
	events := make([]unix.EpollEvent, 1024)
	yielded := time.Now()
	for {
		n, err := r.wait(events)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			switch fd := int(ev.Fd); {
			case fd == r.ln:
				r.accept()
			case r.unsent[fd] != nil:
				r.write(fd, r.unsent[fd])
			default:
				r.read(fd)
			}
		}
		if now := time.Now(); r.raw && now.Sub(yielded) > time.Millisecond {
			runtime.Gosched()
			yielded = now
		}
	}
}

func (r *reactor) accept() {
	for {
		fd, _, err := unix.Accept4(r.ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if r.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			_ = unix.Close(fd)
		}
	}
}

func (r *reactor) read(fd int) {
	n, err := r.io(unix.SYS_RECVFROM, fd, r.buf[:])
	switch {
	case err == unix.EAGAIN, err == unix.EINTR:
	case err != nil || n == 0:
		_ = unix.Close(fd)
	default:
		r.write(fd, r.buf[:n])
	}
}

// write sends b. If it doesn't fit the connection is read no further before the
// rest is gone.
func (r *reactor) write(fd int, b []byte) {
	n, err := r.io(unix.SYS_SENDTO, fd, b)
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		delete(r.unsent, fd)
		_ = unix.Close(fd)
		return
	}
	waited := r.unsent[fd] != nil
	switch rest := b[max(n, 0):]; {
	case len(rest) > 0:
		r.unsent[fd] = append([]byte(nil), rest...)
		if !waited {
			_ = r.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT)
		}
	case waited:
		delete(r.unsent, fd)
		_ = r.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN)
	}
}

func (r *reactor) io(call uintptr, fd int, b []byte) (int, error) {
	if !r.raw {
		if call == unix.SYS_RECVFROM {
			return unix.Read(fd, b)
		}
		return unix.Write(fd, b)
	}
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func (r *reactor) wait(events []unix.EpollEvent) (int, error) {
	if !r.raw {
		return unix.EpollWait(r.ep, events, -1)
	}
	p := uintptr(unsafe.Pointer(&events[0]))
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.ep), p, uintptr(len(events)), 0, 0, 0)
	if n == 0 && errno == 0 {
		forever := -1
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.ep), p, uintptr(len(events)), uintptr(forever), 0, 0)
	}
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
