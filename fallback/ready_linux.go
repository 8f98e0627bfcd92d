package fallback

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// What an operation with the engine is doing, in Req.Slot. The workers number
// their jobs there instead, and those never wait for an edge.
const (
	trying     = 0
	waiting    = 1 // for an edge, then it is tried
	connecting = 2 // for an edge, then it is asked what it came to
	retrying   = 3 // a unix connect to a full backlog, which makes no edge
)

// begin tries an operation that waits by readiness, unless its descriptor is
// known to be dry or full.
func (e *Engine) begin(o *op.Op) {
	r := o.Req()
	s := r.Handle.State()
	if s.Bits&op.Refused != 0 || s.Kind.IsFile() && r.Code != op.Poll {
		e.work(o)
		return
	}
	if s.Bits&blocked(r) != 0 && s.Bits&op.Hung == 0 {
		e.await(o, waiting)
		return
	}
	e.try(o)
}

// work gives an operation to the workers, who have no Buffers to receive into.
func (e *Engine) work(o *op.Op) {
	if o.Req().Code.Info().Multi {
		e.finish(o, -int32(unix.EOPNOTSUPP))
		return
	}
	if o.Req().Code == op.Poll { // it has no other readiness than it has now
		ret := op.Attempt(o, &e.scratch, false)
		if ret == op.EAGAIN {
			ret = -int32(unix.EINVAL) // as io_uring says
		}
		e.finish(o, ret)
		return
	}
	e.delegate(o)
}

// blocked is the bit that says that r would wait.
func blocked(r *op.Req) op.Bits {
	switch {
	case r.Code == op.Poll:
		return 0
	case r.Code.Info().Write:
		return op.Choked
	}
	return op.Dry
}

// try makes an attempt. What it moves is one completion: the loop goes on from
// there, so that no descriptor keeps the others waiting.
func (e *Engine) try(o *op.Op) {
	r := o.Req()
	var ret int32
	var buf *op.Buffer
	switch {
	case r.Slot == connecting:
		ret = op.ConnectResult(o)
	case r.Code == op.RecvEach:
		buf, ret = e.pool.Recv(o)
	case r.Code == op.RecvMsgEach:
		if ret = e.pool.RecvBatch(o, &e.scratch); ret > 0 {
			e.inFlight += int(ret) - 1 // collect counts each completion as an end
			e.done = e.scratch.Completions(o, e.done)
			return
		}
	case r.Cold(&e.scratch):
		e.counters.Jobs++
		e.workers.Start(o)
		return
	default:
		ret = op.Attempt(o, &e.scratch, false)
	}
	s := r.Handle.State()
	switch {
	case ret == op.EINPROGRESS && r.Code == op.Connect, ret == op.EAGAIN && r.Slot == connecting:
		e.await(o, connecting)
		return
	case ret == op.EAGAIN && r.ByTime():
		r.Slot = retrying
		e.retries.Add(o)
		return
	case ret == op.EAGAIN:
		s.Bits |= blocked(r)
		e.await(o, waiting)
		return
	case s.Unix || s.Bits&op.Urgent != 0: // stops early behind a message that carried descriptors
	case r.Code == op.Recv && s.Kind == op.Socket && ret > 0 && int(ret) < r.N,
		buf != nil && s.Kind == op.Socket && int(ret) < e.pool.Size():
		s.Bits |= op.Dry // a short read spares the one that would say EAGAIN
	}
	e.done = append(e.done, op.Completion{Op: o, Buf: buf, Ret: ret})
}

// await leaves an operation to the next edge of its descriptor.
func (e *Engine) await(o *op.Op, how uint32) {
	r := o.Req()
	switch ret := e.watch(r.Handle); {
	case ret == 0:
		r.Slot = how
	case r.Handle.State().Bits&op.Refused != 0:
		e.work(o)
	default:
		e.finish(o, ret)
	}
}

// event takes an edge: what waited for it is tried.
func (e *Engine) event(h *op.Handle, events uint32) {
	const hung = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	s := h.State()
	if events&hung != 0 && (s.Kind != op.Packet || events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0) {
		s.Bits |= op.Hung // an error on a datagram socket is about one datagram
	}
	if events&unix.EPOLLPRI != 0 {
		s.Bits |= op.Urgent
	}
	if events&(unix.EPOLLIN|unix.EPOLLPRI|hung) != 0 {
		s.Bits &^= op.Dry
		e.resume(s.In.Head())
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.Bits &^= op.Choked
		e.resume(s.Out.Head())
	}
	for o := s.Loose.Head(); o != nil; o = o.Req().Next {
		if o.Req().Code == op.Poll {
			e.resume(o)
		}
	}
}

func (e *Engine) resume(o *op.Op) {
	if o == nil || o.Req().Phase != op.Started || o.Req().Away() {
		return
	}
	switch o.Req().Slot {
	case waiting:
		o.Req().Slot = trying
		e.try(o)
	case connecting:
		e.try(o)
	}
}
