package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

const bufferSize = 16 << 10

// serveArm is the server of one arm: it prints its address, serves until its
// standard input ends, and reports.
func serveArm(arm string) error {
	serve := map[string]func() (net.Addr, error){
		"io_uring":      func() (net.Addr, error) { return serveProactor("io_uring", rawEcho) },
		"epoll":         func() (net.Addr, error) { return serveProactor("epoll", rawEcho) },
		"io_uring-each": func() (net.Addr, error) { return serveProactor("io_uring", eachEcho) },
		"epoll-each":    func() (net.Addr, error) { return serveProactor("epoll", eachEcho) },
		"net":           serveNet,
		"reactor":       serveReactor,
	}[arm]
	if serve == nil {
		return fmt.Errorf("no arm %q", arm)
	}
	addr, err := serve()
	if err != nil {
		return err
	}
	fmt.Println(addr)
	late := make(chan time.Duration)
	stop := make(chan struct{})
	go func() { late <- sleeper(stop) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(stop)
	fmt.Println("late", <-late)
	os.Exit(0)
	return nil
}

// sleeper is a neighbour of the server on the same P: it sleeps 1 ms again and
// again, and returns how late it woke on average.
func sleeper(stop chan struct{}) time.Duration {
	var late time.Duration
	n := time.Duration(0)
	for {
		select {
		case <-stop:
			return late / max(n, 1)
		default:
		}
		begin := time.Now()
		time.Sleep(time.Millisecond)
		late += time.Since(begin) - time.Millisecond
		n++
	}
}

// serveProactor serves with one loop.
func serveProactor(engine string, echo func(*proactor.Loop, *proactor.Conn)) (net.Addr, error) {
	loop, err := proactor.New(proactor.WithEngineName(engine))
	if err != nil {
		return nil, err
	}
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	err = ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err == nil {
			echo(loop, c)
		}
	})
	go loop.Run(context.Background())
	return ln.Addr(), err
}

// eachEcho receives into Buffers of the loop's pool and sends them back.
func eachEcho(_ *proactor.Loop, c *proactor.Conn) {
	_ = c.RecvEach(func(b *proactor.Buffer, err error) {
		if err != nil {
			_ = c.Close(nil)
			return
		}
		_, _ = c.SendBuffer(b, nil)
	})
}

// rawEcho has one receive and one send of its own, and a buffer.
func rawEcho(l *proactor.Loop, c *proactor.Conn) {
	s := &session{loop: l, conn: c}
	s.rd.Done, s.wr.Done = s.received, s.sent
	s.sent(&s.wr)
}

type session struct {
	loop   *proactor.Loop
	conn   *proactor.Conn
	rd, wr proactor.Op
	buf    [bufferSize]byte
}

func (s *session) received(o *proactor.Op) {
	n, err := o.Result()
	if err == nil {
		_, err = s.loop.Submit(s.wr.Send(s.conn, s.buf[:n]))
	}
	if err != nil {
		_ = s.conn.Close(nil)
	}
}

func (s *session) sent(*proactor.Op) {
	if _, err := s.loop.Submit(s.rd.Recv(s.conn, s.buf[:])); err != nil {
		_ = s.conn.Close(nil)
	}
}

// serveNet is a goroutine for each connection.
func serveNet() (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, bufferSize)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if _, err := c.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr(), nil
}

// serveReactor is the textbook's: epoll, level-triggered, one goroutine, reads
// and writes as the descriptors are ready. It leaves out what an echo of small
// requests doesn't need: a write that doesn't fit ends the connection.
func serveReactor() (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	lfd := int(f.Fd())
	watch := func(fd int) error {
		return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err := watch(lfd); err != nil {
		return nil, err
	}
	go react(ep, lfd, watch)
	return ln.Addr(), nil
}

func react(ep, lfd int, watch func(int) error) {
	events := make([]unix.EpollEvent, 1024)
	buf := make([]byte, bufferSize)
	for {
		n, err := unix.EpollWait(ep, events, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, ev := range events[:max(n, 0)] {
			fd := int(ev.Fd)
			if fd == lfd {
				if c, _, err := unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
					_ = unix.SetsockoptInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
					_ = watch(c)
				}
				continue
			}
			n, err := unix.Read(fd, buf)
			if err == unix.EAGAIN {
				continue
			}
			if err == nil && n > 0 {
				_, err = unix.Write(fd, buf[:n])
			}
			if err != nil || n <= 0 {
				_ = unix.Close(fd)
			}
		}
	}
}
