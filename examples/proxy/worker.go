package main

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// worker is what one loop has: all of it is the loop's goroutine's.
type worker struct {
	p        *proxy
	loop     *proactor.Loop
	sessions []*session
	waiting  []*session // accepted, without a place yet; the oldest first
	free     *sending
	lent     int // Buffers of the pool that are being sent
	pipes    *op.Pipes
	tick     uint32 // counts p.every
	stats    counters
}

func newPipes() *op.Pipes { return &op.Pipes{Size: splicePiece} }

// lack follows an operation that failed for want of descriptors or memory: pipes that
// nobody uses have some.
func (w *worker) lack() {
	idle := w.pipes
	w.pipes = newPipes()
	idle.Close()
}

// lendMost is how many Buffers of the loop's pool may wait for slow receivers. What comes
// when they do is copied, so that the pool serves the others: then it is the water marks
// that bound the memory.
const lendMost = poolBuffers / 2

// The loop's pool.
const (
	poolBuffers = 128
	bufferSize  = 16<<10 + 64
)

// sending is one send of a direction, or of a session's header. They are used again.
type sending struct {
	op   proactor.Op
	w    *worker
	d    *direction
	n    int
	lent bool
	next *sending
}

func (w *worker) sending(d *direction, n int) *sending {
	x := w.free
	if x == nil {
		x = &sending{w: w}
		x.op.Done = x.sent
	} else {
		w.free = x.next
	}
	x.d, x.n, x.next, x.lent = d, n, nil, false
	return x
}

// send sends what a Buffer holds, and gives the Buffer back.
func (w *worker) send(d *direction, b *proactor.Buffer) {
	x := w.sending(d, b.Len())
	var err error
	if w.lent < lendMost {
		x.lent = true
		w.lent++
		if _, err = w.loop.Submit(x.op.SendBuffer(d.dst, b)); err != nil {
			b.Release()
		}
	} else {
		w.stats.copies++
		copied := b.Copy()
		b.Release()
		_, err = w.loop.Submit(x.op.Send(d.dst, copied))
	}
	if err != nil { // dst is closing
		d.queued -= x.n
		x.put()
	}
}

// sendBytes sends b ahead of a direction.
func (w *worker) sendBytes(d *direction, b []byte) {
	x := w.sending(d, 0)
	if _, err := w.loop.Submit(x.op.Send(d.dst, b)); err != nil {
		x.put()
	}
}

func (x *sending) sent(o *proactor.Op) {
	moved, err := o.Result()
	d, n := x.d, x.n
	x.put()
	d.sent(n, min(moved, n), err)
}

func (x *sending) put() {
	w := x.w
	if x.lent {
		w.lent--
	}
	x.d = nil
	x.next, w.free = w.free, x
}

// housekeeping is what is done every p.every: the time-outs of sessions, and those who
// wait try again.
func (w *worker) housekeeping(err error) {
	if err != nil {
		return
	}
	w.tick++
	for i := len(w.sessions) - 1; i >= 0; i-- { // those that end are replaced by later ones
		if i < len(w.sessions) {
			w.sessions[i].look()
		}
	}
	w.serveWaiting()
}

// wait puts a session in line for a place.
func (w *worker) wait(s *session) {
	w.waiting = append(w.waiting, s)
	w.p.waiting.Add(1)
	w.p.gate.update()
}

// serveWaiting lets those who wait try again, in their order.
func (w *worker) serveWaiting() {
	for len(w.waiting) > 0 {
		s := w.waiting[0]
		if !s.closing && !s.start() {
			return
		}
		w.waiting[0] = nil
		w.waiting = w.waiting[1:]
		w.p.waiting.Add(-1)
		w.p.gate.update()
	}
	w.waiting = nil
}

// ticks returns how many ticks d is, rounded up.
func (p *proxy) ticks(d time.Duration) uint32 { return uint32((d + p.every - 1) / p.every) }
