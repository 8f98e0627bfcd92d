package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// plainOrNot lets a zero-copy send of little go as an ordinary one.
func (l *Loop) plainOrNot(r *op.Req) {
	if r.N < l.opts.zeroCopy {
		r.Off |= op.PlainSend
	}
}

// abortZeroCopy is for a zero-copy send that is with the engine while its handle is
// aborted: of what has gone, the kernel would need the memory for as long as the peer
// likes. If it isn't known what has gone, that is seen to when it is.
func abortZeroCopy(r *op.Req) {
	r.Off |= op.Aborted
	if r.Off&op.Partial != 0 {
		op.Disconnect(int(r.Handle.State().FD))
	}
}

// settleZeroCopy judges what is special about a zero-copy send: after its result the
// kernel still needs the memory, until the notification. What is behind it in line
// goes on meanwhile, and the operation waits beside the line. It reports whether that
// was all.
func (l *Loop) settleZeroCopy(c op.Completion) bool {
	r := c.Op.Req()
	s := r.Handle.State()
	switch {
	case c.More:
		r.Moved += int(c.Ret)
		if r.Moved < r.N && r.Why == op.NotAsked {
			r.Off |= op.Partial // the rest goes out after the notification
			return true
		}
		l.timers.disarm(c.Op)
		r.Phase = op.Notifying
		s.Out.Remove(c.Op)
		s.Loose.Push(c.Op)
		if r.Moved < r.N {
			s.Torn = true
		}
		if r.Off&op.Aborted != 0 {
			op.Disconnect(int(s.FD))
		}
		l.advance(&s.Out)
	case r.Phase == op.Notifying:
		status := int32(0)
		if r.Moved < r.N {
			status = statusOf(r.Why)
		}
		l.conclude(c.Op, &s.Loose, status)
		l.maybeShut(r.Handle)
	case r.Off&op.Partial != 0 && r.Ret == 0:
		r.Off &^= op.Partial
		if r.Why != op.NotAsked {
			l.finish(c.Op, statusOf(r.Why))
		} else {
			l.stats.Continued++
			l.attempt(c.Op)
		}
	default:
		return false
	}
	return true
}
