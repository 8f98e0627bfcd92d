package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// admitAll takes in what other goroutines, and callbacks, have submitted.
func (l *Loop) admitAll() {
	// The mail first: what a cancel in it names was submitted before, so it is
	// in the inbox or here already.
	l.posts, l.asks = l.mail.take(l.posts, l.asks)
	l.admitList(l.inbox.take())
	for _, r := range l.asks {
		if r.what == toShut {
			l.unused(r.handle)
		} else if r.of.Current() {
			l.answer(r)
		}
	}
	clear(l.asks)
	l.asks = l.asks[:0]
}

func (l *Loop) answer(r request) {
	o := r.of.Op()
	multi := o.Code().Info().Multi
	switch {
	case r.what == toEnd:
		l.end(o, op.ByCancel)
	case r.what == toPause && multi:
		l.rest(o, op.Paused)
	case r.what == toResume && multi:
		l.resume(o, op.Paused)
	}
}

func (l *Loop) admitList(o *op.Op) {
	ask := l.delegator != nil
	for o != nil {
		next := o.Req().Next
		if next != nil {
			cork(o.Req(), next.Req())
		}
		files := ask && next != nil && byWorker(o) && !byWorker(next)
		l.admit(o)
		if files {
			l.letBegin(true)
			ask = false // once: a worker may have it done by now, and be alone with the next
		}
		o = next
	}
	for i, h := range l.senders {
		l.senders[i] = nil
		l.advance(&h.State().Out)
		l.maybeShut(h)
	}
	l.senders = l.senders[:0]
}

// cork has a Send leave together with the file that was submitted right behind it, as
// HTTP's heads do: that is one packet less. Not with one that may turn out to be empty: its
// head would wait for the 200 ms after which the kernel sends it nevertheless (man 7 tcp).
// And on streams alone: no file is sent to a datagram socket, on which the head would wait
// for ever, to become one datagram with the next (man 7 udp).
func cork(r, next *op.Req) {
	if r.Code == op.Send && next.Code == op.SendFile && next.Handle == r.Handle && next.N > 0 && next.Args().Mode == 0 &&
		!r.Handle.State().Kind.HasBounds() {
		r.Flags |= op.Corked
	}
}

// admit puts a submitted operation where it belongs and, if nothing is before
// it, starts it.
func (l *Loop) admit(o *op.Op) {
	l.live++
	l.stats.Submitted++
	r := o.Req()
	r.Phase = op.Waiting
	switch r.Code {
	case op.Timeout:
		l.loose.Push(o)
		l.timers.arm(o)
		return
	case op.Cancel:
		l.admitCancel(o)
		return
	case op.Close:
		l.admitClose(o)
		return
	}
	if r.When != 0 {
		l.timers.arm(o)
	}
	if r.Code.Info().Second {
		admit2(r)
	}
	if r.Handle == nil {
		l.loose.Push(o)
		l.start(o)
		return
	}
	s := r.Handle.State()
	s.Admitted++
	if s.Shut || !s.Closers.Empty() {
		r.Why = op.ByClose // submitted while another goroutine submitted the close
	}
	line := s.Position(r.Code)
	if line == nil {
		s.Loose.Push(o)
		l.start(o)
		return
	}
	if r.Code == op.RecvEach || r.Code == op.RecvMsgEach {
		l.needBuffers()
	}
	first := line.Empty()
	line.Push(o)
	switch {
	case !first:
	case line == &s.Out && s.Kind.HasBounds():
		l.senders = append(l.senders, r.Handle) // those behind it in the inbox leave with it
	default:
		l.advance(line)
		l.maybeShut(r.Handle)
	}
}

func (l *Loop) admitCancel(o *op.Op) {
	t := o.Req().CancelTarget()
	l.loose.Push(o)
	if current, _ := t.Ask(); !current {
		l.finish(o, int32(op.NotFound))
		return
	}
	l.end(t.Op(), op.ByCancel)
	l.finish(o, 0)
}

// start begins the first attempt at an operation, unless it is over already.
func (l *Loop) start(o *op.Op) {
	if over, status := l.settled(o); over {
		l.finish(o, status)
		return
	}
	l.attempt(o)
}

func (l *Loop) attempt(o *op.Op) {
	o.Req().Phase = op.Started
	switch o.Req().Code {
	case op.Send, op.SendMsg:
		gather(o)
	case op.SendZC:
		l.plainOrNot(o.Req())
	}
	l.engine.Start(o)
}

// settled reports an operation's outcome if it has one without an attempt.
func (l *Loop) settled(o *op.Op) (bool, int32) {
	r := o.Req()
	if r.Why != op.NotAsked {
		return true, statusOf(r.Why)
	}
	if l.closing {
		return true, int32(op.Closed)
	}
	switch info := r.Code.Info(); info.Shape {
	case op.Some, op.Whole:
		if info.At && r.Handle.State().NoSeek {
			return true, -int32(syscall.ESPIPE) // some rings would ignore the offset
		}
		if over, status := l.unfit(r); over {
			return true, status
		}
		if info.Multi { // files have no readiness and no end to wait for
			return r.Handle.State().Kind.IsFile(), -int32(syscall.EOPNOTSUPP)
		}
		if info.Line == op.OutLine && r.Handle.State().Torn {
			return true, int32(op.Torn)
		}
		return r.Total() == 0 && (r.Code == op.SendMsgs || !r.Handle.State().Kind.HasBounds()), 0
	}
	return false, 0
}

// unfit reports whether a descriptor can't do what is asked of it.
func (l *Loop) unfit(r *op.Req) (bool, int32) {
	switch kind := r.Handle.State().Kind; {
	case r.Code == op.SendFile && (r.Args().Dir2.State().Kind != op.File || kind.HasBounds() || kind.IsFile()):
		return true, -int32(syscall.EINVAL)
	case r.Code == op.SendZC && kind.HasBounds():
		return true, -int32(syscall.EOPNOTSUPP)
	}
	if r.Code < op.RecvMsg || r.Code > op.SendMsgs {
		return false, 0
	}
	kind := r.Handle.State().Kind
	switch {
	case !kind.IsSocket():
		return true, -int32(syscall.ENOTSOCK)
	case r.Code == op.SendMsgs && !kind.HasBounds():
		return true, -int32(syscall.EOPNOTSUPP)
	case r.Code == op.RecvMsgEach && r.MessageRoom().Total() >= l.opts.bufSize:
		return true, -int32(syscall.EINVAL)
	}
	return false, 0
}

// advance starts the head of a line. What is over already makes room for the
// next: a loop and not a recursion, however many wait.
func (l *Loop) advance(line *op.List) {
	for {
		o := line.Head()
		if o == nil || o.Req().Phase != op.Waiting {
			return
		}
		over, status := l.settled(o)
		if !over {
			if o.Req().Flags&op.Paused != 0 {
				o.Req().Phase = op.Resting
			} else {
				l.attempt(o)
			}
			return
		}
		l.conclude(o, line, status)
	}
}
