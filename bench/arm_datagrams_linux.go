package main

import (
	"context"
	"net"
	"os"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// serveNetDatagrams is one goroutine, and two system calls for each datagram.
func serveNetDatagrams() (net.Addr, error) {
	c, err := listenUDP()
	if err != nil {
		return nil, err
	}
	go func() {
		buf := make([]byte, bufferSize)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			fatal(err)
			_, err = c.WriteToUDPAddrPort(buf[:n], from)
			fatal(err)
		}
	}()
	return c.LocalAddr(), nil
}

// reactorBatch is how many datagrams a reactor takes at once.
const reactorBatch = 32

// serveReactorDatagrams is a reactor that receives and sends in batches.
func serveReactorDatagrams() (net.Addr, error) {
	c, err := listenUDP()
	if err != nil {
		return nil, err
	}
	f, err := c.File() // a descriptor that package net doesn't watch
	if err != nil {
		return nil, err
	}
	fd, addr := int(f.Fd()), c.LocalAddr()
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	go func() {
		defer f.Close() // it would be closed when f is collected
		fatal(echoDatagrams(ep, fd))
	}()
	return addr, nil
}

func echoDatagrams(ep, fd int) error {
	b := newBatch(reactorBatch, bufferSize, true)
	events := make([]unix.EpollEvent, 1)
	for {
		if _, err := unix.EpollWait(ep, events, -1); err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		n, err := b.receive(fd)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvmmsg", err)
		}
		if err := b.answer(fd, n); err != nil {
			return os.NewSyscallError("sendmmsg", err)
		}
	}
}

// proactorDatagrams receives into Buffers of the loop's pool and sends them back to
// whom they came from.
func proactorDatagrams(engine string) serve {
	return func() (net.Addr, error) {
		c, err := listenUDP()
		if err != nil {
			return nil, err
		}
		loop, err := proactor.New(proactor.WithEngineName(engine))
		if err != nil {
			return nil, err
		}
		p, err := loop.AdoptPacketConn(c)
		if err != nil {
			return nil, err
		}
		err = p.RecvEach(func(b *proactor.Buffer, err error) {
			fatal(err)
			_, err = p.SendBuffer(b, nil)
			fatal(err)
		})
		go func() { fatal(loop.Run(context.Background())) }()
		return p.LocalAddr(), err
	}
}
