package ring

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// receiveNatively tells whether the ring receives into Buffers by itself: either all
// who do, or none, because one has the Buffers then.
func (e *Engine) receiveNatively(can bool) {
	can = can && e.native[op.RecvEach] && e.native[op.RecvMsgEach]
	e.native[op.RecvEach], e.native[op.RecvMsgEach] = can, can
}

// deliver passes a slot's completion on. The last one frees the slot.
func (e *Engine) deliver(i uint32, c *cqe) {
	d := op.Completion{Op: e.slots.all.At(i).o, Ret: c.res, More: c.flags&cqeMore != 0}
	if c.flags&cqeBuffer != 0 {
		b := e.bufs.took(c.flags)
		if e.fill(b, i, c.res) {
			d.Buf = b
			d.Ret = int32(b.Len())
		} else {
			e.pool.Refill(b)
			e.bufs.refill() // nobody holds it: no return will do it later
		}
	}
	if r := d.Op.Req(); r.Code == op.RecvMsgEach && d.Ret == 0 && d.Buf == nil && !multishot(r) {
		d.Buf = e.empty(i, r)
	}
	if !d.More {
		e.slots.release(i)
	} else {
		e.inFlight++ // reap counts every completion as an end
		if d.Buf != nil {
			e.heardOf(i)
		}
	}
	e.done = append(e.done, d)
}

// empty returns an empty message, for which the kernel gives no buffer; nil if it is
// the end of a connection.
func (e *Engine) empty(i uint32, r *op.Req) *op.Buffer {
	room := r.MessageRoom()
	b := e.pool.Spare(room.Name + room.Control)
	b.FillOne(0, room, e.slots.scratch(e.slots.all.At(i)), r.Handle)
	if r.Handle.State().Kind != op.Packet {
		e.pool.Unused(b) // but for descriptors that have come with it
		return nil
	}
	return b
}

// fill makes b what a slot's operation received; false if that is nothing.
func (e *Engine) fill(b *op.Buffer, i uint32, res int32) bool {
	s := e.slots.all.At(i)
	r := s.o.Req()
	switch {
	case r.Code == op.RecvMsgEach && multishot(r):
		room := r.MessageRoom()
		if int(res) < room.Total() {
			return false
		}
		b.FillHeader(int(res), room, r.Handle)
	case r.Code == op.RecvMsgEach && (res > 0 || res == 0 && r.Handle.State().Kind == op.Packet):
		b.FillOne(int(res), r.MessageRoom(), e.slots.scratch(s), r.Handle)
	case res > 0:
		b.Fill(int(res), r.Handle)
	default:
		return false
	}
	return true
}
