package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// flow is a connected socket of datagrams. An answer makes room for the next
// request, so that a datagram that gets lost is missed at the end.
type flow struct {
	g       *generator
	fd      int
	handle  *proactor.Handle
	poll    proactor.Op
	in, out *batch
	slots   []slot // as many as are under way
	unsent  int    // in out
	cut     bool
}

// slot is a datagram under way, or one that has been answered.
type slot struct {
	b    []byte // its first byte is the number of the slot
	away bool
	sent time.Time
}

// openFlows makes the sockets.
func (g *generator) openFlows() {
	for range g.Conns {
		f, err := newFlow(g)
		if err != nil {
			g.fail(err)
			return
		}
		g.flows = append(g.flows, f)
	}
	close(g.ready)
}

func newFlow(g *generator) (*flow, error) {
	to, err := netip.ParseAddrPort(g.addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	n := max(g.Pipe, 1)
	// The generator should be light: datagrams that arrive together are received as
	// one, and those sent together are cut by the kernel, as programs have it that
	// deal in many (UDP_GRO, UDP_SEGMENT, man 7 udp). Older kernels can't.
	_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
	f := &flow{g: g, fd: fd, in: newBatch(n, n*g.Size, false), out: newBatch(n, g.Size, false), slots: make([]slot, n)}
	f.cut = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, g.Size) == nil
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return nil, errors.Join(os.NewSyscallError("connect", err), unix.Close(fd))
	}
	h, err := g.loop.Register(fd)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	f.handle, f.poll.Done = h, f.ready
	for i := range f.slots {
		s := &f.slots[i]
		s.b = make([]byte, g.Size)
		for j := range s.b {
			s.b[j] = byte(rand.Uint32())
		}
		s.b[0] = byte(i)
	}
	return f, nil
}

func (f *flow) begin() {
	now := time.Now()
	for i := range f.slots {
		f.request(&f.slots[i], now)
	}
	f.send()
	f.wait()
}

// request adds the slot's next datagram to those to be sent.
func (f *flow) request(s *slot, now time.Time) {
	if f.g.stopped() {
		return
	}
	f.g.stamp(s.b)
	s.away, s.sent = true, now
	p := &f.out.pieces[f.unsent]
	p.Base = &s.b[0]
	p.SetLen(len(s.b))
	f.unsent++
}

func (f *flow) send() {
	var err error
	switch {
	case f.unsent == 0:
	case f.cut:
		err = f.out.sendAsOne(f.fd, f.unsent)
	default:
		err = f.out.send(f.fd, f.unsent)
	}
	if err != nil {
		f.g.fail(os.NewSyscallError("send", err))
	}
	f.unsent = 0
}

func (f *flow) wait() {
	if _, err := f.g.loop.Submit(f.poll.Poll(f.handle, unix.POLLIN)); err != nil {
		f.g.fail(err)
	}
}

func (f *flow) ready(o *proactor.Op) {
	_, err := o.Result()
	if err == nil {
		err = f.receive()
	}
	if err != nil {
		f.g.fail(err)
		return
	}
	f.send()
	f.wait()
}

// receive takes the answers that there are.
func (f *flow) receive() error {
	n, err := f.in.receive(f.fd)
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("recvmmsg", err)
	}
	now := time.Now()
	for i := range n {
		b := f.in.datagram(i)
		if len(b) == 0 {
			return errWrong
		}
		for one := range slices.Chunk(b, f.g.Size) {
			if err := f.answer(one, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer checks an answer, in whatever order they come, and makes the next request.
func (f *flow) answer(b []byte, now time.Time) error {
	if len(b) == 0 || int(b[0]) >= len(f.slots) {
		return errWrong
	}
	s := &f.slots[b[0]]
	if !s.away {
		return errExtra
	}
	if !bytes.Equal(b, s.b) {
		return errWrong
	}
	s.away = false
	f.g.requests++
	f.g.latencies.add(now.Sub(s.sent))
	f.request(s, now)
	return nil
}

// finish looks for datagrams that nobody waits for. There is no end of a stream to
// wait for: a late one is missed.
func (f *flow) finish() {
	if err := f.receive(); err != nil {
		f.g.fail(err)
	}
}
