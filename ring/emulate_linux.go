package ring

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// What the kernel's ring lacks takes the fallback's way, and the rest stays on
// the ring: calls that don't block are made at once, those that may go to the
// workers, and what waits for readiness waits by a poll on the ring.

func (e *Engine) emulate(o *op.Op) {
	e.counters.Emulated++
	switch way := o.Req().Code.Info().Way; {
	case way == op.ByWorker && !o.Req().AtOnce(), o.Req().OnFile():
		e.counters.Jobs++
		e.workers.Start(o)
	case way == op.ByReadiness:
		e.try(e.slots.take(o))
	default:
		e.finish(o, op.Attempt(o, &e.scratch, false))
	}
}

// try attempts a slot's operation, now that its descriptor may be ready.
func (e *Engine) try(i uint32) {
	s := e.slots.all.At(i)
	o := s.o
	if s.cancel {
		e.abandon(i)
		return
	}
	if e.runs(o.Req()) {
		s.poll = false
		e.submit(i)
		return
	}
	if o.Req().Cold(&e.scratch) {
		e.slots.release(i)
		e.counters.Jobs++
		e.workers.Start(o)
		return
	}
	begun := s.begun
	var buf *op.Buffer
	var ret int32
	switch o.Req().Code {
	case op.RecvEach:
		buf, ret = e.pool.Recv(o)
	case op.RecvMsgEach:
		if ret = e.pool.RecvBatch(o, &e.scratch); ret > 0 {
			e.slots.release(i)
			e.inFlight += int(ret) - 1 // reap counts each completion as an end
			e.done = e.scratch.Completions(o, e.done)
			return
		}
	default:
		ret = e.attempt(s)
	}
	if ret == op.EAGAIN && o.Req().ByTime() && !begun {
		e.later(i)
		return
	}
	if ret == op.EAGAIN || ret == op.EINPROGRESS && o.Req().Code == op.Connect {
		e.await(i)
		return
	}
	e.slots.release(i)
	e.done = append(e.done, op.Completion{Op: o, Buf: buf, Ret: ret})
}

func (e *Engine) attempt(s *slot) int32 {
	if s.begun {
		return op.ConnectResult(s.o)
	}
	s.begun = s.o.Req().Code == op.Connect
	return op.Attempt(s.o, &e.scratch, false)
}

// await polls for the readiness that a slot's operation needs.
func (e *Engine) await(i uint32) {
	s := e.slots.all.At(i)
	if s.cancel {
		e.abandon(i)
		return
	}
	s.poll = true
	e.submit(i)
}

// later frees the slot of a connect to a full backlog until its next try.
func (e *Engine) later(i uint32) {
	s := e.slots.all.At(i)
	if s.cancel {
		e.abandon(i)
		return
	}
	o := s.o
	e.slots.release(i)
	e.retries.Add(o)
}

// abandon ends a slot's operation between two attempts.
func (e *Engine) abandon(i uint32) {
	o := e.slots.all.At(i).o
	e.slots.release(i)
	e.finish(o, -int32(unix.ECANCELED))
}

func readiness(r *op.Req) uint32 {
	switch {
	case r.Code == op.Poll:
		return uint32(r.Off) | unix.POLLRDHUP // newer kernels add it in any case
	case r.Code.Info().Write:
		return unix.POLLOUT
	}
	return unix.POLLIN
}
