package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// admitClose begins the close of a handle (rule 7): what it receives ends now,
// what it sends is flushed until the linger time is over.
func (l *Loop) admitClose(o *op.Op) {
	r := o.Req()
	h, s := r.Handle, r.Handle.State()
	if r.IfIdle() && !l.mayDetach(o) {
		return
	}
	s.Closers.Push(o)
	if s.Shut {
		if s.FD < 0 { // closed before this abort came
			l.conclude(o, &s.Closers, int32(op.Closed))
		}
		return
	}
	if r.Flags&op.Abortive != 0 || r.Off == 0 || l.closing {
		l.endAll(h)
		return
	}
	if head := s.Out.Head(); head != nil && head.Req().Code == op.Connect {
		l.endAll(h) // nothing can be flushed before there is a connection
		return
	}
	if r.Off > 0 && s.Pending() {
		r.When = l.in(r.Off)
		l.timers.arm(o)
	}
	l.endLine(&s.In)
	for o := s.Loose.Head(); o != nil; {
		next := o.Req().Next
		if o.Req().Code == op.Poll {
			l.end(o, op.ByClose)
		}
		o = next
	}
	l.maybeShut(h)
}

// mayDetach judges a DetachIdle, which has come in as other operations do: either it is
// a close from here on, or it is over.
func (l *Loop) mayDetach(o *op.Op) bool {
	s := o.Req().Handle.State()
	s.Admitted++
	status := int32(op.Closed)
	if !l.closing && !s.Closing() {
		if status = int32(op.Pending); s.Idle() {
			if s.SealForClose() {
				return true
			}
			status = int32(op.Closed) // another goroutine closes it at this moment
		}
	}
	s.Loose.Push(o)
	l.finish(o, status)
	return false
}

// endAll ends everything that is under way on a handle that is closing.
func (l *Loop) endAll(h *op.Handle) {
	s := h.State()
	l.endLine(&s.In)
	l.endLine(&s.Out)
	for o := s.Loose.Head(); o != nil; {
		next := o.Req().Next
		l.end(o, op.ByClose)
		o = next
	}
	l.endNaming(h)
	l.maybeShut(h)
}

// endLine ends a line in its order: the head now, the others as they come up.
func (l *Loop) endLine(line *op.List) {
	head := line.Head()
	if head == nil {
		return
	}
	for o := head.Req().Next; o != nil; o = o.Req().Next {
		if r := o.Req(); r.Why == op.NotAsked {
			r.Why = op.ByClose
		}
	}
	l.end(head, op.ByClose) // with it the others come up, if it ends at once
}

// maybeShut closes the descriptor of a closing handle once nothing is under way.
func (l *Loop) maybeShut(h *op.Handle) {
	s := h.State()
	if s.Closers.Empty() || s.Shut || s.Pending() {
		return
	}
	if !l.closing && !s.AllAdmitted() {
		return // somebody submits at this moment; what he submits ends at once
	}
	if !l.closing && l.endPause(h) {
		return
	}
	if s.Used() && !l.abandoned {
		return // the last who leaves asks for it again
	}
	s.Shut = true
	l.engine.Forget(h)
	o := s.Closers.Head()
	l.timers.disarm(o)
	if r := o.Req(); r.Flags&op.Detached != 0 && r.Next == nil && !l.closing {
		r.Moved = int(s.FD)
		l.conclude(o, &s.Closers, 0)
		l.closed(h, 0)
		return
	}
	if l.broken {
		op.CloseFD(int(s.FD))
		l.settleClose(o)
		return
	}
	l.attempt(o)
}

// Use keeps the descriptor of a handle, of which s is the state, open until Unuse: for
// system calls of the caller's own that don't block. A close waits for that. It returns
// net.ErrClosed if the handle is closing. Any goroutine may call it.
func (l *Loop) Use(s *op.HandleState) error {
	if !s.Use() {
		l.Unuse(s)
		return ErrClosed
	}
	return nil
}

// Unuse ends a Use, of which each wants one. Any goroutine may call it.
func (l *Loop) Unuse(s *op.HandleState) {
	if s.Leave() {
		l.mail.ask(request{what: toShut, handle: s})
		l.wake()
	}
}

// unused goes on with a close that has waited for those who used the descriptor.
func (l *Loop) unused(s *op.HandleState) {
	if o := s.Closers.Head(); o != nil {
		l.maybeShut(o.Req().Handle)
	}
}

// settleClose ends a handle: its descriptor is closed. An interrupted close has
// closed, too (man 2 close).
func (l *Loop) settleClose(o *op.Op) {
	r := o.Req()
	if r.Ret == -int32(syscall.EINTR) {
		r.Ret = 0
	}
	l.closed(r.Handle, r.Ret)
	l.descriptorFreed()
}

// closed ends a handle that has no descriptor any more.
func (l *Loop) closed(h *op.Handle, status int32) {
	s := h.State()
	s.Gone()
	l.dropHandle(h)
	for o := s.Closers.Head(); o != nil; o = s.Closers.Head() {
		if o.Req().Flags&op.Detached != 0 { // an abort was quicker
			l.conclude(o, &s.Closers, int32(op.Closed))
		} else {
			l.conclude(o, &s.Closers, status)
		}
	}
}

// beginClose turns the loop to closing: nothing new is taken, everything under
// way is asked to end, every handle is closed.
func (l *Loop) beginClose() {
	l.closing = true
	l.mail.seal()
	l.admitAll()
	l.admitList(l.inbox.seal())
	for o := l.loose.Head(); o != nil; {
		next := o.Req().Next
		l.end(o, op.ByClose)
		o = next
	}
	for _, h := range l.sealHandles() {
		if s := h.State(); s.Closers.Empty() {
			s.SealForClose()
			o := &op.Op{Done: func(*op.Op) {}}
			o.Abort(h).Claim()
			l.admit(o)
		} else {
			l.endAll(h)
		}
	}
}

// drained reports whether a closing loop has nothing left: no operation, no
// handle, no function to run.
func (l *Loop) drained() bool {
	return l.live == 0 && l.mail.count() == 0 && l.countHandles() == 0
}

// kernelDone reports whether all that is left is to run callbacks.
func (l *Loop) kernelDone() bool {
	return l.live == l.ndue && l.countHandles() == 0
}
