package proactor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// PacketConn is a datagram socket of a loop: UDP, or a unix socket of network
// "unixgram". What is sent at once is received at once; what is longer than the
// room for it is cut. Its methods may be called by any goroutine; they submit an
// operation and return, and the callback runs on the loop. A nil callback of a
// send is allowed.
//
// Memory given to a method is the loop's until the callback; without one, until that
// of Close, which is the last. The error returned is
// ErrClosed or op.ErrFull, and then there is no callback.
//
// Sends that wait for their turn leave together, many by one system call, in
// order; each still has a callback of its own. A datagram that can't be sent (EMSGSIZE:
// it is too long) doesn't stop those behind it.
type PacketConn struct {
	handle
	loop    *Loop
	name    string       // of a unix socket's file, removed by Close
	control atomic.Int32 // room for control messages
	joined  atomic.Bool  // SegmentSize was asked for
	each    atomic.Pointer[packetReceiver]
}

// DialPacket opens a socket of network "udp", "udp4", "udp6" or "unixgram" and
// connects it (connect(2)): it sends to the address, and receives from it alone. It
// may block for a moment: host names are looked up. Any goroutine may call it.
func (l *Loop) DialPacket(network, address string) (*PacketConn, error) {
	c, err := l.dialPacket(network, address)
	if err != nil {
		return nil, opError("dial", network, address, err)
	}
	return c, nil
}

func (l *Loop) dialPacket(network, address string) (*PacketConn, error) {
	if kindOf(network) != op.Packet {
		return nil, net.UnknownNetworkError(network)
	}
	sa, err := resolve(network, address, true)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket(sa.Family(), op.Packet)
	if err != nil {
		return nil, err
	}
	var c *PacketConn
	if err = connectPacket(fd, sa); err == nil {
		c, err = l.NewPacketConn(fd)
	}
	if err != nil {
		op.CloseFD(fd)
	}
	return c, err
}

// NewPacketConn makes a datagram socket a PacketConn of the loop, which owns the
// descriptor from here on; on an error it stays the caller's. Any goroutine may
// call it.
func (l *Loop) NewPacketConn(fd int) (*PacketConn, error) {
	if !isDatagram(fd) {
		return nil, fmt.Errorf("proactor: descriptor %d is no datagram socket: %w", fd, errors.ErrUnsupported)
	}
	c := &PacketConn{loop: l}
	if err := l.adopt(&c.handle, fd, unknownFlags); err != nil {
		return nil, err
	}
	return c, nil
}

// AdoptPacketConn takes a socket over from package net: a *net.UDPConn, or a
// *net.UnixConn of network "unixgram". The PacketConn owns it then, with what it has
// received, and c is closed: a read or write of c that is under way ends with
// net.ErrClosed. A unix socket's file is left to the caller. On an error c is
// untouched. Any goroutine may call it.
func (l *Loop) AdoptPacketConn(c net.PacketConn) (*PacketConn, error) {
	n, err := l.adoptPacketConn(c)
	if err != nil {
		return nil, fmt.Errorf("proactor: adopt %T: %w", c, err)
	}
	_ = c.Close()
	return n, nil
}

func (l *Loop) adoptPacketConn(c net.PacketConn) (*PacketConn, error) {
	switch c.(type) {
	case *net.UDPConn, *net.UnixConn:
	default:
		return nil, errors.ErrUnsupported
	}
	fd, err := duplicate(c.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	n, err := l.NewPacketConn(fd)
	if err != nil {
		op.CloseFD(fd)
	}
	return n, err
}

// Loop returns the loop that the socket belongs to.
func (c *PacketConn) Loop() *Loop { return c.loop }

// RecvFrom receives one datagram into b (recvfrom(2)), of n bytes, which may be none.
// What has no room in b is lost: RecvMsg tells of it. The sender is invalid if it has no
// IP address.
func (c *PacketConn) RecvFrom(b []byte, done func(n int, from netip.AddrPort, err error)) (op.Ticket, error) {
	if done == nil {
		panic("proactor: RecvFrom without a callback")
	}
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	m := k.message()
	m.Data = b
	k.op.RecvMsg(c, m)
	return k.send(0)
}

// SendTo sends b as one datagram to an address (sendto(2)). An invalid address is an
// error of the call.
func (c *PacketConn) SendTo(b []byte, to netip.AddrPort, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	m := k.message()
	m.Data = b
	if err := m.To(to); err != nil {
		c.loop.calls.put(k)
		return op.Ticket{}, err
	}
	k.op.SendMsg(c, m)
	return k.send(0)
}

// Recv is RecvFrom for those who know the sender.
func (c *PacketConn) Recv(b []byte, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Recv(c, b)
	return k.send(0)
}

// Send sends b as one datagram to the peer of a connected socket (send(2)).
func (c *PacketConn) Send(b []byte, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Send(c, b)
	return k.send(0)
}

// RecvMsg receives one datagram with its sender and its control messages
// (recvmsg(2)). Descriptors that came with it, and that the callback doesn't take
// by Message.Rights, are closed when it returns. The Message, with the memory that it
// names, is the loop's until then. Message.Truncated tells what had no room.
func (c *PacketConn) RecvMsg(m *op.Message, done func(n int, err error)) (op.Ticket, error) {
	return c.loop.recvMsg(c, m, done, 0)
}

// SendMsg sends one datagram with control messages (sendmsg(2)), to Message.Peer. The
// Message, with the memory that it names, is the loop's until the callback.
func (c *PacketConn) SendMsg(m *op.Message, done func(n int, err error)) (op.Ticket, error) {
	return c.loop.sendMsg(c, m, done, 0)
}

// SendMsgs sends datagrams, in order, by as few system calls as possible
// (sendmmsg(2)). The callback gets how many were sent; fewer come with the error of
// the one behind them. The slice is the loop's until then, as the Messages are.
func (c *PacketConn) SendMsgs(v []op.Message, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.SendMsgs(c, v)
	return k.send(0)
}

// SendBuffer sends what a Buffer holds as one datagram: to the Buffer's address,
// which is that of its sender until Buffer.To sets another; on a connected socket
// to the peer. The Buffer is the loop's from the call on, and goes back to its
// pool when it is sent, or can't be: also when SendBuffer returns an error.
func (c *PacketConn) SendBuffer(b *op.Buffer, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		b.Release()
		return op.Ticket{}, err
	}
	k.f = done
	k.op.SendBuffer(c, b)
	t, err := k.send(0)
	if err != nil {
		b.Release()
	}
	return t, err
}

// RecvEach receives one datagram after the other (recvmmsg(2)), each into a Buffer
// that is chosen from the loop's pool when one has come, with its sender
// (Buffer.From) and the control messages that SetControl asked for. The Buffer is
// the callback's: to Release, to keep, or to hand to SendBuffer.
//
// An error that concerns a datagram sent earlier (man 7 udp: a port where nobody
// listens, for example) is reported, without a Buffer, and receiving goes on; any
// other, net.ErrClosed for example, is the last callback. When the pool is empty,
// or the socket has as many Buffers out as WithQuota allows, receiving pauses, and
// goes on by itself when Buffers come back; meanwhile the kernel keeps what the
// socket's receive buffer has room for and drops the rest, as UDP does.
func (c *PacketConn) RecvEach(each func(*op.Buffer, error)) error {
	if each == nil {
		panic("proactor: RecvEach without a callback")
	}
	if need := maxJoined + int(c.control.Load()); c.joined.Load() && c.loop.opts.bufSize < need {
		return fmt.Errorf("proactor: %w: Buffers of %d bytes, and datagrams that the kernel joins need %d (WithBuffers)", ErrInvalid, c.loop.opts.bufSize, need)
	}
	x := &packetReceiver{c: c, each: each}
	x.op.Done = x.received
	before := c.each.Swap(x)
	err := x.submit()
	if err != nil {
		c.each.CompareAndSwap(x, before)
	}
	return err
}

// packetReceiver is a RecvEach under way.
type packetReceiver struct {
	op   op.Op
	c    *PacketConn
	each func(*op.Buffer, error)

	mu     sync.Mutex
	ticket op.Ticket // of the submission under way
	paused bool
}

func (x *packetReceiver) submit() (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.op.RecvMsgEach(x.c, int(x.c.control.Load()))
	if x.ticket, err = x.c.loop.Submit(&x.op); err == nil && x.paused {
		x.c.loop.Pause(x.ticket)
	}
	return err
}

func (x *packetReceiver) pause(on bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.paused = on; on {
		x.c.loop.Pause(x.ticket)
	} else {
		x.c.loop.Resume(x.ticket)
	}
}

func (x *packetReceiver) received(o *op.Op) {
	_, err := o.Result()
	x.c.loop.names(x.each)
	if o.More() || !transient(err) {
		x.each(o.Buffer(), err)
		return
	}
	x.each(nil, err)
	if err := x.submit(); err != nil {
		x.each(nil, err)
	}
}

// transient reports whether an error on a datagram socket is about one that was
// sent (man 7 ip).
func transient(err error) bool {
	for _, e := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EMSGSIZE, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EACCES} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// maxJoined is the most that joined datagrams have, and what is in front of them.
const maxJoined = 1<<16 + 64

// PauseRecv stops the RecvEach under way until ResumeRecv; what has already been
// received still comes. Meanwhile the kernel drops what its receive buffer has no room
// for.
func (c *PacketConn) PauseRecv() {
	if x := c.each.Load(); x != nil {
		x.pause(true)
	}
}

// ResumeRecv ends PauseRecv.
func (c *PacketConn) ResumeRecv() {
	if x := c.each.Load(); x != nil {
		x.pause(false)
	}
}

// ControlKind names control messages that a PacketConn is to receive.
type ControlKind uint

// The kinds of control messages.
const (
	PacketInfo   ControlKind = 1 << iota // Control.PacketInfo
	Timestamps                           // Control.Timestamp
	TrafficClass                         // Control.TrafficClass
	SegmentSize                          // Control.SegmentSize: several datagrams of one sender come as one, of up to 64 KiB (UDP_GRO, Linux 5.0)
	Credentials                          // Control.Credentials, on unix sockets
	Rights                               // Buffer.Rights: up to 253 descriptors, on unix sockets
)

// Close closes the socket in order (rule 7): queued sends are flushed for at most
// the loop's linger time, receives end with ErrClosed. A unix socket's file is
// removed. Its callback is the socket's last. It returns ErrClosed if the socket is
// already closed or closing.
func (c *PacketConn) Close(done func(error)) error {
	c.unlink()
	return c.loop.closeHandle(c, done, c.loop.opts.linger)
}

// Abort closes the socket at once: what is queued or under way is cancelled.
func (c *PacketConn) Abort(done func(error)) error {
	c.unlink()
	return c.loop.abortHandle(c, done)
}

func (c *PacketConn) unlink() {
	if c.name != "" && !c.State().Closing() {
		_ = os.Remove(c.name)
	}
}

// LocalAddr returns the socket's own address, nil if it is closed (getsockname(2)).
func (c *PacketConn) LocalAddr() net.Addr { return socketAddr(&c.handle, false) }

// RemoteAddr returns the peer's address, nil if the socket isn't connected
// (getpeername(2)).
func (c *PacketConn) RemoteAddr() net.Addr { return socketAddr(&c.handle, true) }
