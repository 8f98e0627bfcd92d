package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// server is a group of loops, each with a socket at the same address.
type server struct {
	group  *proactor.Group
	echoes []*echo
	left   atomic.Int32 // sockets that are open
	failed atomic.Pointer[error]
}

// never is what no count of Buffers comes to.
const never = ^uint64(0)

// pool is how much memory a loop's Buffers have, in bytes.
const pool = 8 << 20

func listen(c *config) (*server, error) {
	size := c.size
	if c.gro {
		size = longest // what is put together has up to that
	}
	size += 256 // its address, control messages, and a byte to see that it is too long
	buffers := 64
	for buffers*2*size <= pool && buffers < 4096 {
		buffers *= 2
	}
	opts := []proactor.Option{proactor.WithBuffers(buffers, size), proactor.WithLinger(flushTime)}
	if c.engine != "" {
		opts = append(opts, proactor.WithEngineName(c.engine))
	}
	group, err := proactor.NewGroup(proactor.GroupOptions{Loops: c.loops}, opts...)
	if err != nil {
		return nil, err
	}
	s := &server{group: group}
	if err := s.open(c); err != nil {
		return nil, errors.Join(err, group.Close())
	}
	return s, nil
}

// open gives each loop its socket; the others take the port that the first was given.
func (s *server) open(c *config) error {
	loops, addr := s.group.Loops(), c.addr
	config := proactor.ListenConfig{
		ReusePort: len(loops) > 1,
		Control:   func(_, _ string, raw syscall.RawConn) error { return setRoom(raw, c.room) },
	}
	for _, l := range loops {
		conn, err := config.ListenPacket(l, "udp", addr)
		if err != nil {
			return err
		}
		e := &echo{server: s, loop: l, conn: conn, longest: c.size}
		s.echoes = append(s.echoes, e)
		addr = conn.LocalAddr().String()
		if err := e.start(c.gro); err != nil {
			return err
		}
	}
	s.left.Store(int32(len(loops)))
	return nil
}

func (s *server) addr() *net.UDPAddr { return s.echoes[0].conn.LocalAddr().(*net.UDPAddr) }

// String says where the server listens and on which engine; of the fallback, why it
// came to that.
func (s *server) String() string {
	name, why := s.group.Loops()[0].Engine()
	line := fmt.Sprintf("listening on %v, engine %s", s.addr(), name)
	if name != "io_uring" {
		line += " (" + why + ")"
	}
	return line
}

// run serves until ctx ends and what has come by then is answered.
func (s *server) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		end := time.Now().Add(drainTime)
		for _, e := range s.echoes {
			_ = e.loop.Post(func() { e.drain(never, end) })
		}
	})()
	err := s.group.Run(context.Background())
	if failed := s.failed.Load(); failed != nil {
		err = errors.Join(*failed, err)
	}
	return err
}

// fail ends the server because of a socket that is of no more use.
func (s *server) fail(err error) {
	s.failed.CompareAndSwap(nil, &err)
	_ = s.group.Close()
}

// closed is called for each socket that is.
func (s *server) closed() {
	if s.left.Add(-1) == 0 {
		_ = s.group.Close()
	}
}

// total is what all loops have done. They have ended.
func (s *server) total() (all counts) {
	for _, e := range s.echoes {
		all.add(&e.counts)
	}
	return all
}

// counts are of datagrams. One that the kernel has put together from several counts as
// those.
type counts struct {
	echoed, bytes uint64
	tooLong       uint64
	unsent        uint64
}

func (c *counts) add(x *counts) {
	c.echoed += x.echoed
	c.bytes += x.bytes
	c.tooLong += x.tooLong
	c.unsent += x.unsent
}

func (c counts) String() string {
	return fmt.Sprintf("%d datagrams echoed, %d bytes; %d too long, %d not sent", c.echoed, c.bytes, c.tooLong, c.unsent)
}
