package op

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelMessage is what a Message is to the kernel. It is in the Message because
// the kernel reads it, and writes to it, until the completion.
type kernelMessage struct {
	hdr unix.Msghdr
	iov unix.Iovec
}

const solSocket = unix.SOL_SOCKET

// multiMessage is struct mmsghdr.
type multiMessage struct {
	hdr unix.Msghdr
	n   uint32
}

// MaxBatch is how many messages one attempt sends, or receives, at most.
const (
	MaxBatch     = 64
	MaxRecvBatch = 32 // each of them is a Buffer, and a callback before others have their turn
)

// Header describes to the kernel what is left of a RecvMsg or SendMsg.
func (r *Req) Header() *unix.Msghdr {
	m := r.Message()
	m.describe(&m.hdr, &m.iov, r.Code, r.Moved)
	return &m.hdr
}

func (m *Message) describe(h *unix.Msghdr, v *unix.Iovec, code Code, moved int) {
	*h = unix.Msghdr{Iov: v}
	h.SetIovlen(1)
	data := m.Data[moved:]
	v.Base = unsafe.SliceData(data)
	v.SetLen(min(len(data), MaxBytes))
	control := m.Control
	if code == RecvMsg {
		control = control[:cap(control)]
		h.Name, h.Namelen = &m.Peer.raw[0], uint32(len(m.Peer.raw))
	} else if m.Peer.n > 0 {
		h.Name, h.Namelen = &m.Peer.raw[0], m.Peer.n
	}
	if len(control) > 0 && moved == 0 { // descriptors go once, with the first byte
		h.Control = unsafe.SliceData(control)
		h.SetControllen(len(control))
	}
}

// Received takes over what the kernel wrote about a message.
func (m *Message) Received(ret int32) {
	if ret < 0 {
		return
	}
	m.Peer.n = min(m.hdr.Namelen, uint32(len(m.Peer.raw)))
	m.Control = m.Control[:min(int(m.hdr.Controllen), cap(m.Control))]
	m.Flags = int(m.hdr.Flags)
	if len(m.Control) > 0 && m.Control.hasRights() {
		m.rights = &Rights{m.Control.rights()}
	}
}

// Header describes a Send to the kernel, with its address.
func (s *Scratch) Header(r *Req) *unix.Msghdr {
	s.iov = append(s.iov[:0], unix.Iovec{})
	r.describe(&s.msg, &s.iov[0])
	return &s.msg
}

// describe is Header into memory of the caller's.
func (r *Req) describe(h *unix.Msghdr, v *unix.Iovec) {
	if m := r.Message(); m != nil {
		m.describe(h, v, r.Code, r.Moved)
		return
	}
	p, n := r.Rest()
	v.Base = (*byte)(p)
	v.SetLen(n)
	*h = unix.Msghdr{Iov: v}
	h.SetIovlen(1)
	if r.Addressed() {
		h.Name, h.Namelen = &r.Buf.peer.raw[0], r.Buf.peer.n
	}
}

// Addressed reports whether a Send has an address that it goes to.
func (r *Req) Addressed() bool {
	return r.Buf != nil && r.Buf.message && r.Handle.s.Kind == Packet && !r.Handle.s.Connected && r.Buf.peer.n > 0
}

// Batched reports whether r is a send of several messages at once.
func (r *Req) Batched() bool {
	return r.Code == SendMsgs || r.Off > 1 && (r.Code == Send || r.Code == SendMsg) && r.Handle.s.Kind.HasBounds()
}

// batch is what several messages at once are to the kernel.
type batch struct {
	all  [MaxBatch]multiMessage
	iov  [MaxBatch]unix.Iovec
	runs [MaxBatch]int // how many sends went into each
	cuts [MaxBatch][24]byte
	n    int
}

func (s *Scratch) batched() *batch {
	if s.batch == nil {
		s.batch = new(batch)
	}
	return s.batch
}

// clear forgets the memory that the messages name.
func (b *batch) clear() {
	clear(b.all[:b.n])
	clear(b.iov[:])
	b.n = 0
}

// sendBatch sends several messages: those of a SendMsgs, or those that ride with
// r. It returns how many were sent.
//
// Datagrams of one size to one address go as one, which the kernel cuts apart
// (UDP_SEGMENT, man 7 udp): its way through the network stack costs many times
// what the system call does. A path that can't do that says so at once.
func (s *Scratch) sendBatch(r *Req, block bool) int32 {
	b, h := s.batched(), &r.Handle.s
	defer b.clear()
	b.collect(r, h.UDP && h.Bits&NoJoin == 0)
	n := b.send(r, block)
	if b.runs[0] > 1 && cannotCut(n) {
		h.Bits |= NoJoin
		b.clear()
		b.collect(r, false)
		n = b.send(r, block)
	}
	if n < 0 {
		return n
	}
	sent := 0
	for _, k := range b.runs[:n] {
		sent += k
	}
	return int32(sent)
}

// cannotCut reports whether an error is how a path says that it can't.
func cannotCut(n int32) bool {
	switch unix.Errno(-n) {
	case unix.EINVAL, unix.EIO, unix.EMSGSIZE, unix.EOPNOTSUPP:
		return n < 0
	}
	return false
}

func (b *batch) send(r *Req, block bool) int32 {
	return call(block, unix.SYS_SENDMMSG, r.fd(), uintptr(unsafe.Pointer(&b.all[0])), uintptr(b.n), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
}

func (b *batch) collect(r *Req, join bool) {
	if r.Code == SendMsgs {
		rest := r.Messages()[r.Moved:]
		for i := range rest[:min(len(rest), MaxBatch)] {
			m := &b.all[b.n].hdr
			rest[i].describe(m, &b.iov[i], SendMsg, 0)
			b.add(join)
		}
		return
	}
	for i := range int(r.Off) {
		r.describe(&b.all[b.n].hdr, &b.iov[i])
		b.add(join)
		if r.Next != nil {
			r = &r.Next.req
		}
	}
}

// most is how large what goes as one may be: a datagram and its headers.
const most = 65_000

// add takes the message behind the last one, or makes it a part of that.
func (b *batch) add(join bool) {
	m := &b.all[b.n].hdr
	if join && b.n > 0 && b.joins(&b.all[b.n-1].hdr, m, b.runs[b.n-1]) {
		last := &b.all[b.n-1].hdr
		b.runs[b.n-1]++
		last.SetIovlen(b.runs[b.n-1])
		if last.Control == nil {
			c := &b.cuts[b.n-1]
			size := unsafe.Slice(last.Iov, 1)[0].Len
			last.SetControllen(len(Control(c[:0]).AppendSegmentSize(int(size))))
			last.Control = &c[0]
		}
		*m = unix.Msghdr{}
		return
	}
	b.runs[b.n] = 1
	b.n++
}

// joins reports whether m may follow the datagrams of last in one: all have the
// size of the first, except that the last one may be shorter.
func (b *batch) joins(last, m *unix.Msghdr, run int) bool {
	if m.Control != nil || run == 1 && last.Control != nil || m.Namelen != last.Namelen {
		return false
	}
	v := unsafe.Slice(last.Iov, run+1) // they lie behind each other, m's is the last
	size := v[0].Len
	if v[run-1].Len != size || v[run].Len > size || v[run].Len == 0 || int(size)*(run+1) > most {
		return false
	}
	return m.Namelen == 0 || string(unsafe.Slice(m.Name, m.Namelen)) == string(unsafe.Slice(last.Name, m.Namelen))
}

// RecvBatch receives messages into buffers of the pool until there are no more,
// or no more buffers, or as many as a turn may have. It returns how many, which
// are then in s.Filled; ENOBUFS if the pool is empty.
func (p *Pool) RecvBatch(o *Op, s *Scratch) int32 {
	r := &o.req
	want := min(MaxRecvBatch, p.nfree)
	if r.Handle.s.Kind == Seqpacket {
		want = min(want, 1) // an empty one is the end: what is behind it stays where it is
	}
	if want == 0 {
		return -int32(unix.ENOBUFS)
	}
	room := r.MessageRoom()
	if room.Total() > p.size {
		return -int32(unix.EMSGSIZE)
	}
	x := s.batched()
	defer x.clear()
	x.n = want
	s.Filled = s.Filled[:0]
	for i := range want {
		b := p.Take()
		s.Filled = append(s.Filled, b)
		b.describe(&x.all[i].hdr, &x.iov[i], room)
	}
	n := call(false, unix.SYS_RECVMMSG, r.fd(), uintptr(unsafe.Pointer(&x.all[0])), uintptr(want), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC, 0, 0)
	for i := want - 1; i >= max(int(n), 0); i-- { // in reverse: the pool is a stack
		p.Refill(s.Filled[i])
	}
	s.Filled = s.Filled[:max(int(n), 0)]
	for i, b := range s.Filled {
		h := &x.all[i].hdr
		b.FillMessage(int(x.all[i].n), room, int(h.Namelen), int(h.Controllen), int(h.Flags), r.Handle)
	}
	if n > 0 && int(n) < want {
		r.Handle.s.Bits |= Dry // the kernel looked for one more
	}
	if r.Handle.s.Kind != Packet {
		n = s.cutAtEnd(p, n)
	}
	return n
}

// cutAtEnd drops the empty messages that are the end of a connection: behind the
// first there are only more of them.
func (s *Scratch) cutAtEnd(p *Pool, n int32) int32 {
	for i, b := range s.Filled {
		if b.len == 0 {
			for _, x := range s.Filled[i:] {
				p.Unused(x)
			}
			s.Filled = s.Filled[:i]
			return int32(i)
		}
	}
	return n
}

// Completions appends the messages of RecvBatch as results of o. All but the last
// are marked More.
func (s *Scratch) Completions(o *Op, done []Completion) []Completion {
	for i, b := range s.Filled {
		done = append(done, Completion{Op: o, Buf: b, Ret: int32(b.len), More: i+1 < len(s.Filled)})
	}
	clear(s.Filled)
	return done
}

// describe has the kernel put a message and what belongs to it where a ring would.
func (b *Buffer) describe(h *unix.Msghdr, v *unix.Iovec, room MessageRoom) {
	data := b.data[room.Total():]
	v.Base = unsafe.SliceData(data)
	v.SetLen(len(data))
	*h = unix.Msghdr{Iov: v, Name: &b.data[messageHeader], Namelen: uint32(room.Name)}
	h.SetIovlen(1)
	if room.Control > 0 {
		h.Control = &b.data[messageHeader+room.Name]
		h.SetControllen(room.Control)
	}
}

// RecvHeader describes to a ring the room of a multishot receive: the message goes
// to a buffer behind a header of the kernel's.
func (s *Scratch) RecvHeader(room MessageRoom) *unix.Msghdr {
	s.msg = unix.Msghdr{Namelen: uint32(room.Name)}
	s.msg.SetControllen(room.Control)
	return &s.msg
}

// FillHeader is FillMessage of n bytes that begin with the kernel's own header,
// struct io_uring_recvmsg_out.
func (b *Buffer) FillHeader(n int, room MessageRoom, h *Handle) {
	out := (*[4]uint32)(unsafe.Pointer(&b.data[0])) // name, control, payload, flags
	b.FillMessage(n-room.Total(), room, int(out[0]), int(out[1]), int(out[3]), h)
}

// RecvOne describes one message to a ring: its data go to a buffer of the ring's,
// its sender and its control messages to the scratch.
func (s *Scratch) RecvOne(room MessageRoom, size int) *unix.Msghdr {
	if need := room.Name + room.Control; cap(s.about) < need {
		s.about = make([]byte, need)
	}
	s.about = s.about[:room.Name+room.Control]
	s.iov = append(s.iov[:0], unix.Iovec{})
	s.iov[0].SetLen(size - room.Total())
	s.msg = unix.Msghdr{Iov: &s.iov[0], Name: &s.about[0], Namelen: uint32(room.Name)}
	s.msg.SetIovlen(1)
	if room.Control > 0 {
		s.msg.Control = &s.about[room.Name]
		s.msg.SetControllen(room.Control)
	}
	return &s.msg
}

// FillOne is FillMessage of what RecvOne received at the beginning of the buffer.
func (b *Buffer) FillOne(n int, room MessageRoom, s *Scratch, h *Handle) {
	// Behind the data is room for the rest: the kernel was given that much less.
	tail := b.data[len(b.data)-room.Name-room.Control:]
	copy(tail, s.about)
	b.fill(n, 0, tail[:room.Name], tail[room.Name:], int(s.msg.Namelen), int(s.msg.Controllen), int(s.msg.Flags), h)
}
