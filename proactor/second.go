package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// An operation can name a second handle: the directory that a file is moved to, the
// file that is copied from. It holds that handle as it does its first: a close waits,
// or the number could be another descriptor's by the time that the kernel looks it up.

func (l *Loop) mustBeOurs2(r *op.Req) {
	switch h := r.Second(); {
	case h == nil && r.Handle != nil && r.Code.Info().Handle:
		panic("proactor: " + r.Code.String() + " without a second handle")
	case h != nil && h.State().Loop != l.id:
		panic("proactor: " + r.Code.String() + " with a second handle of another loop")
	}
}

// letIn2 puts the operation into the inbox if both handles and the loop take it.
func (l *Loop) letIn2(r *op.Req, o *op.Op) bool {
	let := func(h *op.Handle) bool { return h == nil || h.State().Let() }
	letOut := func(h *op.Handle) {
		if h != nil {
			h.State().LetOut()
		}
	}
	first, second := r.Handle, r.Second()
	if !let(first) {
		return false
	}
	if !let(second) {
		l.letOutLater(first)
		return false
	}
	if !l.inbox.push(o) {
		letOut(first)
		letOut(second)
		return false
	}
	return true
}

// letOutLater takes back that an operation was let in. A close may be waiting for it
// by now, which only the loop can go on with: so what it finds in the operation's
// stead is one that does nothing.
func (l *Loop) letOutLater(h *op.Handle) {
	if h == nil {
		return
	}
	o := &op.Op{Done: func(*op.Op) {}}
	o.Nop().Claim()
	o.Req().Handle = h
	if !l.inbox.push(o) {
		h.State().LetOut()
		return
	}
	l.wake()
}

// admit2 makes the second handle wait for the operation.
func admit2(r *op.Req) {
	h := r.Second()
	if h == nil {
		return
	}
	s := h.State()
	s.Admitted++
	s.Named++
	if s.Shut || !s.Closers.Empty() {
		r.Why = op.ByClose // submitted while another goroutine submitted the close
	}
}

// letGo2 lets the second handle's close go on.
func (l *Loop) letGo2(r *op.Req) {
	if h := r.Second(); h != nil {
		h.State().Named--
		l.maybeShut(h)
	}
}

// endNaming ends the operations that name h as their second handle. They are in no
// list of its own: they are few, and a handle is aborted seldom while there are any.
func (l *Loop) endNaming(h *op.Handle) {
	if h.State().Named == 0 {
		return
	}
	var all []*op.Op
	collect := func(list *op.List) {
		for o := list.Head(); o != nil; o = o.Req().Next {
			if o.Req().Second() == h {
				all = append(all, o)
			}
		}
	}
	collect(&l.loose)
	l.hmu.Lock()
	handles := l.allHandles()
	l.hmu.Unlock()
	for _, other := range handles {
		collect(&other.State().Loose)
		collect(&other.State().Out)
	}
	for _, o := range all {
		l.end(o, op.ByClose)
	}
}
