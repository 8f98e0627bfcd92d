package main

import (
	"bytes"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenTCP makes a listening socket. Its flags are 0 or SOCK_NONBLOCK.
func listenTCP(flags int) (ln int, addr net.Addr, err error) {
	ln, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(ln, unix.SOMAXCONN); err != nil {
		return -1, nil, os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(ln)
	if err != nil {
		return -1, nil, os.NewSyscallError("getsockname", err)
	}
	in := name.(*unix.SockaddrInet4)
	return ln, &net.TCPAddr{IP: in.Addr[:], Port: in.Port}, nil
}

// acceptEach gives add the connections that wait at a listener, until there are
// no more of them. At a blocking listener it goes on for ever.
//
// It ends with whatever error there is, EMFILE too: a server that lives on without
// some of its connections would have figures that say nothing.
func acceptEach(ln, flags int, add func(fd int) error) error {
	for {
		// Not unix.Accept4: it allocates memory for the peer's address.
		fd, _, errno := syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(ln), 0, 0, unix.SOCK_CLOEXEC|uintptr(flags), 0, 0)
		switch errno {
		case 0:
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			if err := add(int(fd)); err != nil {
				return err
			}
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return nil
		default:
			return os.NewSyscallError("accept4", errno)
		}
	}
}

// state is what a connection has come to.
type state int

const (
	closed  state = iota // by its peer or an error; its descriptor is closed, too
	blocked              // the socket is full: to be served again when it is writable
	empty                // a receive found nothing
	short                // a receive didn't fill the buffer: there was no more then
	more                 // there may be more to receive
)

// echoer is what all servers on non-blocking sockets do with a connection. They
// differ in how they learn which connections are ready.
//
// A raw one tells Go's scheduler nothing of its system calls: see yielder.
type echoer struct {
	unsent map[int][]byte   // what a full socket didn't take, by descriptor
	buf    [bufferSize]byte // aligned: the kernel copies twice as fast
	raw    bool
	handle func([]byte) // of what is received; nil is none
}

// step sends what is unsent, or else receives once and sends that back. A
// connection is received from no further before its unsent bytes are gone.
func (e *echoer) step(fd int) state {
	if rest := e.unsent[fd]; rest != nil {
		return e.send(fd, rest)
	}
	n, err := e.io(unix.SYS_RECVFROM, fd, e.buf[:])
	switch {
	case err == unix.EAGAIN:
		return empty
	case err == unix.EINTR:
		return more
	case err != nil || n == 0:
		_ = unix.Close(fd)
		return closed
	}
	if e.handle != nil {
		e.handle(e.buf[:n])
	}
	if s := e.send(fd, e.buf[:n]); s != more {
		return s
	}
	if n < len(e.buf) {
		return short
	}
	return more
}

// drain takes steps until there is no more to do now, for servers that are told
// of an event only once. A short read is the end of it, as whatever comes later is
// an event of its own; toEnd is for an event that may have had others behind it,
// such as the end of the stream.
func (e *echoer) drain(fd int, toEnd bool) state {
	toEnd = toEnd || e.unsent[fd] != nil // events came by that weren't acted on
	for {
		s := e.step(fd)
		if s == more || s == short && toEnd {
			continue
		}
		return s
	}
}

// send sends b, which is in e.buf or in e.unsent, and keeps what isn't taken.
func (e *echoer) send(fd int, b []byte) state {
	n, err := e.io(unix.SYS_SENDTO, fd, b)
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		delete(e.unsent, fd)
		_ = unix.Close(fd)
		return closed
	}
	rest := b[max(n, 0):]
	if len(rest) == 0 {
		delete(e.unsent, fd)
		return more
	}
	if e.unsent[fd] == nil {
		rest = bytes.Clone(rest) // the buffer is all connections'
	}
	e.unsent[fd] = rest
	return blocked
}

func (e *echoer) io(call uintptr, fd int, b []byte) (int, error) {
	if !e.raw {
		if call == unix.SYS_RECVFROM {
			return unix.Read(fd, b)
		}
		return unix.Write(fd, b)
	}
	// Both calls know both flags. MSG_DONTWAIT says again that the socket is
	// non-blocking: a raw call that waits would hold up the whole program.
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// yielder lets the rest of the program live beside a goroutine that never waits
// as the scheduler sees it: once a millisecond, because giving up a locked thread
// costs some microseconds.
type yielder struct{ last time.Time }

func (y *yielder) yield() {
	if now := time.Now(); now.Sub(y.last) > time.Millisecond {
		runtime.Gosched()
		y.last = now
	}
}
