package main

import (
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// signalled is signal-driven: the kernel queues a real-time signal for each event
// of a socket, with its descriptor, and the server takes them off the queue one by
// one (man 2 fcntl, F_SETSIG; man 2 rt_sigtimedwait). When the queue is full
// there is one plain SIGIO in place of all that didn't fit.
type signalled struct {
	echoer
	ln    int
	conns map[int]bool
	set   unix.Sigset_t
}

const (
	ioSignal   = 40 // real-time; C libraries take some at both ends of their range
	sigsetSize = 8  // of the kernel's sigset_t in bytes
)

// ioInfo is a siginfo_t with the fields of SIGIO: Go aligns them as C does.
type ioInfo struct {
	signo, errno, code int32
	band               int
	fd                 int32
	_                  [108]byte // a siginfo_t has 128 bytes
}

// ownerEx is a struct f_owner_ex, whose type 0 is F_OWNER_TID.
type ownerEx struct{ kind, id int32 }

func serveSIGIO() (net.Addr, error) {
	ln, addr, err := listenTCP(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s := &signalled{ln: ln, conns: map[int]bool{}}
	s.unsent = map[int][]byte{}
	go func() { fatal(s.run()) }()
	return addr, nil
}

// run has a thread of its own: the signals are sent to it, and blocked in it, so
// that they stay in the queue and Go's handlers never see them.
func (s *signalled) run() error {
	runtime.LockOSThread()
	for _, sig := range []int{ioSignal, int(unix.SIGIO)} {
		bits := int(unsafe.Sizeof(s.set.Val[0])) * 8
		s.set.Val[(sig-1)/bits] |= 1 << ((sig - 1) % bits)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &s.set, nil); err != nil {
		return os.NewSyscallError("rt_sigprocmask", err)
	}
	if err := signalOn(s.ln); err != nil {
		return err
	}
	if err := s.accept(); err != nil { // those from before
		return err
	}
	for {
		if err := s.serve(); err != nil {
			return err
		}
	}
}

// signalOn has the kernel send this thread a signal for each event of fd, which
// is non-blocking and stays so.
func signalOn(fd int) error {
	owner := ownerEx{id: int32(unix.Gettid())}
	_, _, errno := syscall.Syscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&owner)))
	if errno != 0 {
		return os.NewSyscallError("fcntl F_SETOWN_EX", errno)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, ioSignal); err != nil {
		return os.NewSyscallError("fcntl F_SETSIG", err)
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_NONBLOCK|unix.O_ASYNC)
	return os.NewSyscallError("fcntl F_SETFL", err)
}

// serve waits for a signal and does what it tells. One may be older than the
// connection that has its descriptor now: then there is nothing to receive.
func (s *signalled) serve() error {
	var info ioInfo
	sig, _, errno := syscall.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&s.set)), uintptr(unsafe.Pointer(&info)), 0, sigsetSize, 0, 0)
	switch fd := int(info.fd); {
	case errno == unix.EINTR:
		return nil
	case errno != 0:
		return os.NewSyscallError("rt_sigtimedwait", errno)
	case sig == uintptr(unix.SIGIO):
		return s.all()
	case fd == s.ln:
		return s.accept()
	case s.conns[fd]:
		s.ready(fd, false)
	}
	return nil
}

func (s *signalled) accept() error { return acceptEach(s.ln, unix.SOCK_NONBLOCK, s.add) }

// add serves a connection at once: what it has already sends no signal any more.
func (s *signalled) add(fd int) error {
	if err := signalOn(fd); err != nil {
		return err
	}
	s.conns[fd] = true
	s.ready(fd, true)
	return nil
}

func (s *signalled) ready(fd int, toEnd bool) {
	if s.drain(fd, toEnd) == closed {
		delete(s.conns, fd)
	}
}

// all asks poll(2) for the events whose signals didn't fit into the queue.
func (s *signalled) all() error {
	fds := make([]unix.PollFd, 0, len(s.conns))
	for fd := range s.conns {
		events := int16(unix.POLLIN)
		if s.unsent[fd] != nil {
			events = unix.POLLOUT
		}
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: events})
	}
	if _, err := unix.Poll(fds, 0); err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll", err)
	}
	for _, p := range fds {
		if p.Revents != 0 {
			s.ready(int(p.Fd), true)
		}
	}
	return s.accept()
}
