package main

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is memory for datagrams that are received, or sent, with one system call
// (man 2 recvmmsg, sendmmsg).
type batch struct {
	messages []mmsghdr
	pieces   []unix.Iovec
	names    []unix.RawSockaddrInet4
	memory   []byte
	size     int // of a datagram at most
}

type mmsghdr struct {
	unix.Msghdr
	n uint32 // bytes of the datagram
}

// newBatch has room for n datagrams. With names it keeps who sent what was received,
// which is then whom it is sent to.
func newBatch(n, size int, names bool) *batch {
	b := &batch{messages: make([]mmsghdr, n), pieces: make([]unix.Iovec, n), memory: make([]byte, n*size), size: size}
	if names {
		b.names = make([]unix.RawSockaddrInet4, n)
	}
	for i := range b.messages {
		m := &b.messages[i]
		b.pieces[i].Base = &b.memory[i*size]
		m.Iov = &b.pieces[i]
		m.SetIovlen(1)
		if names {
			m.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		}
	}
	return b
}

// receive receives what there is, up to the whole batch.
func (b *batch) receive(fd int) (n int, err error) {
	for i := range b.messages {
		b.pieces[i].SetLen(b.size)
		if b.names != nil {
			b.messages[i].Namelen = unix.SizeofSockaddrInet4
		}
	}
	return b.call(unix.SYS_RECVMMSG, fd, b.messages)
}

// datagram returns what was received.
func (b *batch) datagram(i int) []byte { return b.memory[i*b.size:][:b.messages[i].n] }

// answer sends the first n datagrams back as they were received.
func (b *batch) answer(fd, n int) error {
	for i := range n {
		b.pieces[i].SetLen(int(b.messages[i].n))
	}
	return b.send(fd, n)
}

// sendAsOne sends the first n pieces as one, which the kernel cuts apart.
func (b *batch) sendAsOne(fd, n int) error {
	for {
		_, _, errno := syscall.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&b.pieces[0])), uintptr(n))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EAGAIN:
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1); err != nil && err != unix.EINTR {
				return err
			}
		default:
			return errno
		}
	}
}

// send sends the first n datagrams, whose pieces have been set. It waits where the
// socket is full.
func (b *batch) send(fd, n int) error {
	for rest := b.messages[:n]; len(rest) > 0; {
		sent, err := b.call(unix.SYS_SENDMMSG, fd, rest)
		switch err {
		case nil:
			rest = rest[sent:]
		case unix.EAGAIN:
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
			if err != nil && err != unix.EINTR {
				return err
			}
		case unix.EINTR:
		default:
			return err
		}
	}
	return nil
}

func (b *batch) call(call uintptr, fd int, messages []mmsghdr) (int, error) {
	n, _, errno := syscall.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// makeRoom gives a socket room for all datagrams that the load has under way: what
// doesn't fit would be lost. Only root gets more than net.core.rmem_max.
func makeRoom(c syscall.RawConn) error {
	const room = 4 << 20
	var err error
	controlErr := c.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, room)
		}
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}

// listenUDP makes the one socket of a server of datagrams.
func listenUDP() (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = makeRoom(raw)
	}
	return c, err
}
