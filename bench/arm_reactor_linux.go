package main

import (
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reactor is the textbook's: epoll, one goroutine, reads and writes as the
// descriptors are ready.
//
// A raw one is as fast as C.
type reactor struct {
	echoer
	ep, ln   int
	interest uint32 // of a new connection
	ready    func(fd int, events uint32) error
}

func newReactor(raw bool) (*reactor, net.Addr, error) {
	ln, addr, err := listenTCP(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, nil, err
	}
	r := &reactor{ln: ln}
	r.raw, r.unsent = raw, map[int][]byte{}
	if r.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("epoll_create1", err)
	}
	return r, addr, r.watch(unix.EPOLL_CTL_ADD, ln, unix.EPOLLIN)
}

// serveReactor is level-triggered: a connection is watched for reading, or while
// it has unsent bytes for writing.
func serveReactor(raw bool, handle func([]byte)) (net.Addr, error) {
	r, addr, err := newReactor(raw)
	if err != nil {
		return nil, err
	}
	r.interest, r.ready, r.handle = unix.EPOLLIN, r.level, handle
	go func() { fatal(r.run()) }()
	return addr, nil
}

func (r *reactor) watch(how, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(r.ep, how, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

func (r *reactor) run() error {
	if r.raw {
		runtime.LockOSThread()
	}
	events := make([]unix.EpollEvent, 1024)
	var y yielder
	for {
		n, err := r.wait(events)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, ev := range events[:max(n, 0)] {
			if fd := int(ev.Fd); fd == r.ln {
				err = acceptEach(r.ln, unix.SOCK_NONBLOCK, r.add)
			} else {
				err = r.ready(fd, ev.Events)
			}
			if err != nil {
				return err
			}
		}
		if r.raw {
			y.yield()
		}
	}
}

func (r *reactor) add(fd int) error { return r.watch(unix.EPOLL_CTL_ADD, fd, r.interest) }

func (r *reactor) level(fd int, _ uint32) error {
	waited := r.unsent[fd] != nil
	switch s := r.step(fd); {
	case s == blocked && !waited:
		return r.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT)
	case s == more && waited:
		return r.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN)
	}
	return nil
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
