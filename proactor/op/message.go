package op

import (
	"net/netip"
	"unsafe"
)

// Message is a message with its address and its control data: what RecvMsg
// fills and SendMsg sends (recvmsg(2), sendmsg(2)). Its owner keeps it and uses it
// again. With the memory that it names it belongs to the loop while an operation
// that names it is in flight.
type Message struct {
	// Data is the room for what is received, or what is to be sent.
	Data []byte
	// Control is what control messages are sent, or received: its capacity is the
	// room for them.
	Control Control
	// Peer is who sent it, or whom to send it to; the zero Sockaddr is the peer
	// that the socket is connected to.
	Peer Sockaddr
	// Flags are those of a received message (recv(2)); see Truncated.
	Flags int

	rights *Rights // the descriptors that it came with
	kernelMessage
}

// Rights are descriptors that came with a message, until somebody takes them.
type Rights struct{ fds []int }

// Drop closes them if nobody has. It is not a method of the message, which is its
// owner's again, on any goroutine, as soon as the callback says so.
func (r *Rights) Drop() {
	if r == nil {
		return
	}
	for _, fd := range r.take() {
		CloseFD(fd)
	}
}

func (r *Rights) take() []int {
	fds := r.fds
	r.fds = nil
	return fds
}

// Passed returns the descriptors that came with the message, nil if there are none.
func (m *Message) Passed() *Rights { return m.rights }

// From returns the sender's IP endpoint; invalid if there is none.
func (m *Message) From() netip.AddrPort { return m.Peer.AddrPort() }

// To makes an IP endpoint the receiver.
func (m *Message) To(ap netip.AddrPort) error { return m.Peer.SetAddrPort(ap) }

// Truncated reports whether the data, or the control messages, were longer than
// the room for them. The kernel closes descriptors that didn't fit.
func (m *Message) Truncated() (data, control bool) { return truncated(m.Flags) }

// Rights returns the descriptors that came with the message (SCM_RIGHTS, man 7
// unix), close-on-exec: they are the caller's from here on. A callback of
// Conn.RecvMsg or PacketConn.RecvMsg must take them before it returns, or they are
// closed; in a callback of an Op's own they are its to take in any case.
func (m *Message) Rights() []int {
	if m.rights == nil {
		return nil
	}
	return m.rights.take()
}

// Flags of a received message, as Linux numbers them.
const (
	msgCtrunc = 0x8
	msgTrunc  = 0x20
)

func truncated(flags int) (data, control bool) {
	return flags&msgTrunc != 0, flags&msgCtrunc != 0
}

// Message returns the message that an operation names, nil if it names none.
func (r *Req) Message() *Message {
	if r.Code != RecvMsg && r.Code != SendMsg {
		return nil
	}
	return (*Message)(r.Ptr)
}

// Messages returns what a SendMsgs sends.
func (r *Req) Messages() []Message { return unsafe.Slice((*Message)(r.Ptr), r.N) }

// MaxControl is the most room for control messages that RecvMsgEach gives, in
// bytes.
const MaxControl = 4096

// MessageRoom is what a Buffer of RecvMsgEach has in front of its data: the
// kernel's header, the sender and the control messages. All are multiples of 16,
// so that the data is well aligned.
type MessageRoom struct{ Name, Control int }

// messageHeader is the size of struct io_uring_recvmsg_out.
const messageHeader = 16

// FillMessage makes the buffer the user's, with n bytes of data behind the room
// for what belongs to them.
func (b *Buffer) FillMessage(n int, room MessageRoom, name, control, flags int, h *Handle) {
	about := b.data[messageHeader:room.Total()]
	b.fill(n, room.Total(), about[:room.Name], about[room.Name:], name, control, flags, h)
}

func (b *Buffer) fill(n, off int, name, control []byte, nameLen, controlLen, flags int, h *Handle) {
	b.Fill(n, h)
	b.off, b.message = off, true
	b.flags = int32(flags)
	b.peer.set(name, uint32(nameLen))
	b.control = control[:min(controlLen, len(control))]
	b.rights = len(b.control) > 0 && h.s.Unix && b.control.hasRights()
}

// From returns the IP endpoint that a message in the Buffer came from; invalid if
// there is none.
func (b *Buffer) From() netip.AddrPort { return b.peer.AddrPort() }

// Peer returns the address of a message: its sender's, until To sets another. It
// is a part of the Buffer.
func (b *Buffer) Peer() *Sockaddr { return &b.peer }

// To makes an IP endpoint the one that SendBuffer sends the Buffer to.
func (b *Buffer) To(ap netip.AddrPort) error {
	b.message = true
	return b.peer.SetAddrPort(ap)
}

// Control returns the control messages that came with a message. They are a part
// of the Buffer.
func (b *Buffer) Control() Control { return b.control }

// Truncated is Message.Truncated of the message in the Buffer.
func (b *Buffer) Truncated() (data, control bool) { return truncated(int(b.flags)) }

// Rights returns the descriptors that came with a message, close-on-exec: they are
// the caller's from here on. Those that weren't taken are closed when the Buffer
// is released or sent.
func (b *Buffer) Rights() []int {
	if !b.rights {
		return nil
	}
	b.rights = false
	return b.control.rights()
}

func (b *Buffer) dropRights() {
	for _, fd := range b.Rights() {
		CloseFD(fd)
	}
}

// Total returns all of it in bytes.
func (m MessageRoom) Total() int { return messageHeader + m.Name + m.Control }

// MessageRoom returns the room that a RecvMsgEach asks for.
func (r *Req) MessageRoom() MessageRoom {
	name := 32 // sockaddr_in6 has 28
	if r.Handle.s.Unix {
		name = len(Sockaddr{}.raw)
	}
	return MessageRoom{Name: name, Control: (r.N + 15) &^ 15}
}
