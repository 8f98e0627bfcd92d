package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

type echo func(*proactor.Loop, *proactor.Conn)

var busyPoll = proactor.WithBusyPoll(100 * time.Microsecond)

// proactorArm serves with one loop.
func proactorArm(engine string, e echo, opts ...proactor.Option) func() (net.Addr, error) {
	return func() (net.Addr, error) {
		loop, err := proactor.New(append(opts, proactor.WithEngineName(engine))...)
		if err != nil {
			return nil, err
		}
		ln, err := loop.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		err = ln.AcceptEach(func(c *proactor.Conn, err error) {
			if err == nil {
				e(loop, c)
			}
		})
		go func() { fatal(loop.Run(context.Background())) }()
		return ln.Addr(), err
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// groupArm serves with a Group of n loops.
func groupArm(n int, deal bool) func() (net.Addr, error) {
	return func() (net.Addr, error) {
		g, err := proactor.NewGroup(proactor.GroupOptions{Loops: n, Deal: deal})
		if err != nil {
			return nil, err
		}
		addr, err := g.Serve("tcp", "127.0.0.1:0", func(c *proactor.Conn, err error) {
			if err == nil {
				eachEcho(c.Loop(), c)
			}
		})
		go func() { fatal(g.Run(context.Background())) }()
		return addr, err
	}
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
	if err != nil {
		_ = s.conn.Close(nil)
		return
	}
	s.answer(n)
}

func (s *session) answer(n int) {
	if _, err := s.loop.Submit(s.wr.Send(s.conn, s.buf[:n])); err != nil {
		_ = s.conn.Close(nil)
	}
}

// sent follows a send, and begins the first receive. An error of the send shows
// in the receive, too.
func (s *session) sent(*proactor.Op) {
	if _, err := s.loop.Submit(s.rd.Recv(s.conn, s.buf[:])); err != nil {
		_ = s.conn.Close(nil)
	}
}
