package main

import (
	"errors"
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// How the server ends.
const (
	// drainTime is for answering what had come before the signal. It is a limit for
	// when more keeps coming.
	drainTime = 2 * time.Second
	// lookEvery is the time between two looks whether more comes.
	lookEvery = 2 * time.Millisecond
	// flushTime is for what the network interface doesn't take at once.
	flushTime = 200 * time.Millisecond
)

// echo is one loop's socket. All of it is the loop goroutine's.
type echo struct {
	server  *server
	loop    *proactor.Loop
	conn    *proactor.PacketConn
	longest int
	ipv6    bool // the socket is
	counts
	received uint64  // Buffers
	spare    *answer // that are not in flight
}

// start receives from now on.
func (e *echo) start(gro bool) error {
	var kinds proactor.ControlKind
	if gro {
		kinds |= proactor.SegmentSize
	}
	at := e.server.addr().IP
	e.ipv6 = at.To4() == nil
	if at.IsUnspecified() { // else there is one address to answer from
		kinds |= proactor.PacketInfo
	}
	if kinds != 0 {
		if err := e.conn.SetControl(kinds); err != nil {
			return err
		}
	}
	return e.conn.RecvEach(e.got)
}

func (e *echo) got(b *proactor.Buffer, err error) {
	switch {
	case b != nil:
		e.received++
		e.answer(b)
	case errors.Is(err, proactor.ErrClosed):
	default: // a socket without a peer doesn't hear of what clients don't get (man 7 udp)
		e.server.fail(err)
	}
}

// answer sends a Buffer back.
func (e *echo) answer(b *proactor.Buffer) {
	size := b.Control().SegmentSize()
	if size == 0 {
		size = b.Len()
	}
	if cut, _ := b.Truncated(); cut || size > e.longest {
		e.tooLong++
		b.Release()
		return
	}
	a := e.spare
	if a == nil {
		a = newAnswer(e)
	} else {
		e.spare = a.next
	}
	a.send(b)
}

// answer is one that is under way, or was and is used again.
type answer struct {
	op      proactor.Op
	echo    *echo
	next    *answer
	buffer  *proactor.Buffer // the loop's meanwhile if message isn't used
	bytes   int
	segment int // if several datagrams were put together, the size of each
	message proactor.Message
	pieces  []proactor.Message // that they are cut into, where the kernel can't
}

func newAnswer(e *echo) *answer {
	a := &answer{echo: e}
	a.op.Done = a.sent
	a.message.Control = make(proactor.Control, 0, 128)
	return a
}

// send answers as simply as the datagram allows: the Buffer as it is goes to its sender.
func (a *answer) send(b *proactor.Buffer) {
	about := b.Control()
	to, ifindex := about.PacketInfo()
	a.bytes, a.segment = b.Len(), about.SegmentSize()
	if a.segment >= a.bytes {
		a.segment = 0
	}
	o := &a.op
	if !to.IsValid() && a.segment == 0 {
		o.SendBuffer(a.echo.conn, b)
	} else {
		a.buffer = b
		a.message.Data, a.message.Peer = b.Bytes(), *b.Peer()
		a.message.Control = a.source(to, ifindex, a.message.Control[:0])
		if a.segment > 0 {
			a.message.Control = a.message.Control.AppendSegmentSize(a.segment)
		}
		o.SendMsg(a.echo.conn, &a.message)
	}
	a.submit(b)
}

// source has the answer leave from the address that the datagram was sent to: not if it
// is one of many receivers.
func (a *answer) source(to netip.Addr, ifindex int, c proactor.Control) proactor.Control {
	if !to.IsValid() || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return c
	}
	if !to.IsLinkLocalUnicast() { // of those each interface has its own
		ifindex = 0
	}
	if a.echo.ipv6 { // also for clients of IPv4
		to = netip.AddrFrom16(to.As16())
	}
	return c.AppendPacketInfo(to, ifindex)
}

// submit is refused when the socket is closing.
func (a *answer) submit(b *proactor.Buffer) {
	if _, err := a.echo.loop.Submit(&a.op); err != nil {
		a.echo.unsent += a.datagrams()
		a.buffer = b // it has stayed ours
		a.end()
	}
}

func (a *answer) sent(o *proactor.Op) {
	n, err := o.Result()
	switch {
	case a.pieces != nil:
		a.echo.echoed += uint64(n)
		a.echo.unsent += uint64(len(a.pieces) - n)
		a.echo.bytes += uint64(min(n*a.segment, a.bytes))
	case err == nil:
		a.echo.echoed += a.datagrams()
		a.echo.bytes += uint64(a.bytes)
	case a.segment > 0 && cannotCut(err):
		a.cut()
		return
	default: // a firewall, a full queue, a port that can't be: the datagram is lost
		a.echo.unsent += a.datagrams()
	}
	a.end()
}

// cannotCut reports whether an error is how a path to a client says that it doesn't cut
// datagrams.
func cannotCut(err error) bool {
	for _, e := range []syscall.Errno{syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.EOPNOTSUPP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// cut sends what was put together as the datagrams that it was.
func (a *answer) cut() {
	to, ifindex := a.buffer.Control().PacketInfo()
	control := a.source(to, ifindex, nil)
	for data := a.message.Data; len(data) > 0; {
		n := min(a.segment, len(data))
		a.pieces = append(a.pieces, proactor.Message{Data: data[:n], Peer: a.message.Peer, Control: control})
		data = data[n:]
	}
	a.op.SendMsgs(a.echo.conn, a.pieces)
	a.submit(a.buffer)
}

// datagrams is how many the answer has.
func (a *answer) datagrams() uint64 {
	if a.segment == 0 {
		return 1
	}
	return uint64((a.bytes + a.segment - 1) / a.segment)
}

func (a *answer) end() {
	if a.buffer != nil {
		a.buffer.Release()
	}
	a.buffer, a.message.Data, a.pieces = nil, nil, nil
	a.next, a.echo.spare = a.echo.spare, a
}

// drain closes the socket when nothing waits in it, as at the last look, and nothing has
// come between, or when the time is over. Before is how many Buffers had come at the last
// look, or never if something waited in the socket then. (What has been taken from it has
// its callbacks up to a turn later.)
func (e *echo) drain(before uint64, end time.Time) {
	empty := waiting(e.conn.FD()) == 0
	if empty && before == e.received || time.Now().After(end) {
		_ = e.conn.Close(func(error) { e.server.closed() })
		return
	}
	now := never
	if empty {
		now = e.received
	}
	_, _ = e.loop.After(lookEvery, func(error) { e.drain(now, end) })
}
