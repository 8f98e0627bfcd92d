package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// settleEach judges what a multishot operation brought: one more result, or the
// end of an attempt. An attempt can end although the operation goes on (the
// kernel ran out of buffers, or of room for completions; the epoll engine makes
// one result an attempt): then the loop begins the next, or lets it rest.
func (l *Loop) settleEach(c op.Completion) {
	r := c.Op.Req()
	stopped := r.Flags&op.Stopped != 0
	if !c.More {
		r.Phase = op.Resting
		r.Flags &^= op.Stopped
	}
	data := c.Ret > 0 || c.Ret == 0 && (r.Code == op.AcceptEach || c.Buf != nil) // a message can be empty
	if data {
		l.event(c)
	}
	switch {
	case c.More:
	case data:
		l.again(c.Op)
	case c.Ret == 0 && r.Handle.State().Kind == op.Packet:
		l.again(c.Op) // an empty datagram
	case c.Ret == 0:
		l.finish(c.Op, int32(op.EOF))
	case c.Ret == -int32(syscall.ENOBUFS) && r.Code != op.AcceptEach:
		l.starve(c.Op)
	case c.Ret == -int32(syscall.EINTR), c.Ret == -int32(syscall.ECANCELED) && stopped:
		l.again(c.Op)
	default:
		r.Ret = c.Ret
		l.settleError(c.Op)
	}
}

// event makes the callback of one result due.
func (l *Loop) event(c op.Completion) {
	r := c.Op.Req()
	if r.Code == op.AcceptEach && (l.closing || r.Handle.State().Closing()) {
		op.CloseFD(int(c.Ret)) // rule 9
		return
	}
	if r.Off != 0 { // the idle time-out begins anew
		l.timers.disarm(c.Op)
		r.When = l.in(r.Off)
		l.timers.arm(c.Op)
	}
	if c.Buf != nil {
		c.Buf = l.hold(c.Op, c.Buf)
	}
	c.More = true
	l.due.push(c)
}

// deliver runs the callback of one result. A Buffer that it doesn't take goes
// back to the pool.
func (l *Loop) deliver(c op.Completion) {
	r := c.Op.Req()
	r.Moved, r.Ret, r.Buf = int(c.Ret), 0, c.Buf
	r.Flags |= op.More
	if l.opts.slow == 0 {
		c.Op.Done(c.Op)
	} else {
		l.timedCallback(c.Op)
	}
	l.delivered(r)
}

func (l *Loop) delivered(r *op.Req) {
	r.Flags &^= op.More
	r.Moved = 0
	if b := r.Buf; b != nil {
		r.Buf = nil
		b.Release()
	}
}

// again begins the next attempt at a multishot operation, unless it is to end or
// to rest.
func (l *Loop) again(o *op.Op) {
	r := o.Req()
	switch {
	case r.Why != op.NotAsked:
		l.finish(o, statusOf(r.Why))
	case r.Flags&(op.Paused|op.Throttled) != 0:
		r.Phase = op.Resting
	default:
		l.attempt(o)
	}
}

// rest stops the attempt at a multishot operation, which doesn't end by that.
func (l *Loop) rest(o *op.Op, flag op.Flags) {
	r := o.Req()
	if r.Phase == op.Started && r.Flags&(op.Paused|op.Throttled|op.Stopped) == 0 {
		r.Flags |= op.Stopped
		l.engine.Cancel(o)
	}
	r.Flags |= flag
}

// resume takes a reason to rest away.
func (l *Loop) resume(o *op.Op, flag op.Flags) {
	r := o.Req()
	r.Flags &^= flag
	if r.Phase == op.Resting && r.Flags&(op.Paused|op.Throttled|op.Starved) == 0 {
		l.again(o)
	}
}

// buffers are the loop's pool and who waits for it.
type buffers struct {
	pool      *op.Pool
	starved   []*op.Op // in the order in which they go on; nil: gone
	first     int      // starved[:first] are done with
	nstarved  int
	throttled int
	starves   uint64
}

// needBuffers makes the pool, once.
func (l *Loop) needBuffers() {
	if l.buffers.pool != nil {
		return
	}
	p := op.NewPool(l.opts.buffers, l.opts.bufSize, l.wake)
	l.buffers.pool = p
	l.engine.Use(p)
	l.engine.Refill()
}

// hold counts a Buffer for its handle, and throttles what has as many as it may.
// The kernel can have received more by then, a few dozen pieces at most: those
// are copied, so that the pool keeps its Buffers for the others.
func (l *Loop) hold(o *op.Op, x *op.Buffer) *op.Buffer {
	b, s := &l.buffers, o.Req().Handle.State()
	s.Held++
	quota := l.quota(s)
	if int(s.Held) >= quota && o.Req().Flags&op.Throttled == 0 {
		b.throttled++
		l.rest(o, op.Throttled)
	}
	if int(s.Held) <= quota {
		return x
	}
	x = b.pool.Extra(x)
	l.engine.Refill()
	return x
}

// quota is how many Buffers a handle may have out.
func (l *Loop) quota(s *op.HandleState) int {
	if s.Kind == op.Packet && !s.Connected {
		return max(l.opts.quota, l.buffers.pool.Count()*3/4)
	}
	return l.opts.quota
}

// starve lets a receive wait until Buffers are back.
func (l *Loop) starve(o *op.Op) {
	r := o.Req()
	if r.Why != op.NotAsked {
		l.finish(o, statusOf(r.Why))
		return
	}
	b := &l.buffers
	r.Phase = op.Resting
	r.Flags |= op.Starved
	if n := len(b.starved); n == cap(b.starved) && b.nstarved <= n/2 {
		b.compact()
	}
	r.Slot = uint32(len(b.starved))
	b.starved = append(b.starved, o)
	b.nstarved++
	b.starves++
}

// compact drops the places of those who are gone.
func (b *buffers) compact() {
	kept := b.starved[:0]
	for _, o := range b.starved[b.first:] {
		if o != nil {
			o.Req().Slot = uint32(len(kept))
			kept = append(kept, o)
		}
	}
	clear(b.starved[len(kept):])
	b.starved, b.first = kept, 0
}

// forget takes a receive that ends out of those that wait.
func (b *buffers) forget(o *op.Op) {
	r := o.Req()
	if r.Flags&op.Throttled != 0 {
		b.throttled--
	}
	if r.Flags&op.Starved != 0 {
		b.starved[r.Slot] = nil
		b.nstarved--
	}
	r.Flags &^= op.Throttled | op.Starved
}

// collectBuffers takes back what was released, on whatever goroutine, and lets
// those go on who waited for it: the throttled, and in their order the starved,
// as many as there are Buffers.
func (l *Loop) collectBuffers() {
	b := &l.buffers
	if b.pool == nil {
		return
	}
	if x := b.pool.Returned(); x != nil {
		for x != nil {
			next, owner := x.Next()
			b.pool.Refill(x)
			if owner != nil {
				l.returned(owner)
			}
			x = next
		}
		l.engine.Refill()
	}
	for n := l.engine.Available(); n > 0 && b.nstarved > 0; n-- {
		l.resume(b.nextStarved(), op.Starved)
	}
}

// returned counts a Buffer as back from a handle.
func (l *Loop) returned(h *op.Handle) {
	s := h.State()
	s.Held--
	o := s.In.Head()
	if o == nil || o.Req().Flags&op.Throttled == 0 || int(s.Held) > l.quota(s)/2 {
		return
	}
	l.buffers.throttled--
	l.resume(o, op.Throttled)
}

func (b *buffers) nextStarved() *op.Op {
	for {
		o := b.starved[b.first]
		b.starved[b.first] = nil
		b.first++
		if o == nil {
			continue
		}
		b.nstarved--
		if b.nstarved == 0 {
			b.starved, b.first = b.starved[:0], 0
		}
		return o
	}
}

// buffersWait tells whether the loop must not sleep: a receive waits for a
// Buffer, and there is one, or one has just come back. If it may sleep, the next
// that comes back wakes it.
func (l *Loop) buffersWait() bool {
	b := &l.buffers
	if b.nstarved == 0 && b.throttled == 0 {
		return false
	}
	return b.nstarved > 0 && l.engine.Available() > 0 || b.pool.Want()
}

func (b *buffers) publish(s *Stats, e op.Engine) {
	if b.pool == nil {
		return
	}
	s.Starved, s.Throttled, s.Starvations = b.nstarved, b.throttled, b.starves
	s.Buffers = b.pool.Count()
	s.BuffersOut = s.Buffers - e.Available()
}
