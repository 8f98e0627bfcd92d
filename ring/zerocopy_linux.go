package ring

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// A zero-copy send (man 3 io_uring_prep_send_zc) completes twice: with the result, and
// when the kernel needs the memory no more. The slot is in use until then.

// sendZeroCopy finds out what the kernel can do. Where it has no zero copy, an
// ordinary send does.
func (e *Engine) sendZeroCopy() {
	e.zeroCopy, e.native[op.SendZC] = e.native[op.SendZC], e.native[op.Send]
	if e.r.features&featRegRegRing != 0 { // 6.3: one more than needed; before 6.2 it is EINVAL
		e.zcFlags = zcReport
	}
}

// ZeroCopy reports whether the kernel can send without a copy.
func (e *Engine) ZeroCopy() bool { return e.zeroCopy }

// encodeZeroCopy makes a send one without a copy, if it can be.
func (e *Engine) encodeZeroCopy(q *sqe, r *op.Req) {
	q.opcode = opSend
	if e.zeroCopy && r.Off&op.PlainSend == 0 && !r.Handle.State().Unix {
		q.opcode, q.ioprio = opSendZC, e.zcFlags
		e.counters.ZeroCopies++
	}
}

// completeZeroCopy takes a completion of a zero-copy send. It reports whether that is
// all for now: the slot waits for the notification, or sends again.
func (e *Engine) completeZeroCopy(i uint32, c *cqe) bool {
	s := e.slots.all.At(i)
	r := s.o.Req()
	switch {
	case c.flags&cqeNotif != 0:
		if e.zcFlags != 0 && uint32(c.res)&zcCopied == 0 {
			r.Off |= op.ZeroCopied
		}
		s.sent = false
		c.res, c.flags = int32(r.Off>>32), 0 // 0, or the error that came first
		r.Off &= 1<<32 - 1
	case c.flags&cqeMore != 0:
		s.sent = true
		if c.res < 0 {
			r.Off |= int64(c.res) << 32
			return true
		}
	}
	if c.res == -int32(unix.EOPNOTSUPP) || c.res == -int32(unix.ENOMEM) { // the socket can't; RLIMIT_MEMLOCK
		switch {
		case r.Off&op.PlainSend != 0:
		case s.cancel: // what it comes to as a plain send, it doesn't come to any more
			c.res = -int32(unix.ECANCELED)
		default:
			r.Off |= op.PlainSend
			e.submit(i)
			return true
		}
	}
	return false
}
