package proactor

import (
	"slices"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Chain is operations that run one after the other. It is made by Loop.Chain.
type Chain struct {
	loop    *Loop
	ops     []*op.Op
	tickets []op.Ticket
	done    []func(*op.Op) // the callbacks of the operations' owner
	next    int            // the one under way
	broken  bool           // one has failed: no other begins
}

// Chain submits operations that run one after the other: each begins when the callback
// of the one before it has run, the final one of a multishot. Each gets its callback. If
// one fails, or moves less than it was asked to (a read at the end of a file), those
// behind it don't begin, and their callbacks get op.ErrCanceled; but not if it is marked
// by Op.HardLink. For example: open (Op.OpenInto), a hard-linked read, close.
//
// It returns what Submit of the first returns: then no operation is taken in. What a
// later one finds wrong (a closed handle: net.ErrClosed) is its result. Deadlines count
// from when they were set. Any goroutine may call it.
//
// The links are the loop's on both engines. On a bare ring, linked entries that open
// into a table of direct descriptors, read and close took as much CPU as the same three
// in rounds of 32 files on ext4, and 6 to 10 % less on tmpfs (Linux 6.18): an enter is
// shared anyway, and the callbacks would remain.
func (l *Loop) Chain(ops ...*op.Op) (*Chain, error) {
	for i, o := range ops {
		if err := wellFormed(o); err != nil {
			return nil, err
		}
		if i == 0 || !namesUnopened(o.Req()) {
			l.mustBeOurs(o.Req())
		}
	}
	c := &Chain{loop: l, ops: slices.Clone(ops), tickets: make([]op.Ticket, len(ops)), done: make([]func(*op.Op), len(ops))}
	if len(ops) == 0 {
		return c, nil
	}
	claimed, taken := 0, false
	defer func() { // also when an operation is in flight, or twice in the chain: that panics
		if !taken {
			c.giveBack(claimed)
		}
	}()
	step := c.step
	for i, o := range c.ops {
		c.tickets[i], c.done[i] = o.Claim(), o.Done
		o.Done = step
		if b := o.Req().Buf; b != nil {
			b.Lend()
		}
		claimed++
	}
	if taken = l.submit(c.ops[0]); !taken {
		return nil, ErrClosed
	}
	return c, nil
}

// namesUnopened reports whether a handle of an operation isn't open yet: one before it
// in the chain should open it.
func namesUnopened(r *op.Req) bool {
	if h := r.Handle; h != nil && h.State().Loop == 0 {
		return true
	}
	if !r.Code.Info().Second {
		return false
	}
	h := r.Second()
	return h != nil && h.State().Loop == 0
}

// giveBack makes the first n operations their owner's again.
func (c *Chain) giveBack(n int) {
	for i, o := range c.ops[:n] {
		o.Done = c.done[i]
		if b := o.Req().Buf; b != nil {
			b.Unlend()
		}
		o.Yield()
	}
}

// Ticket names the submission of the i-th operation, for Loop.Cancel: it can be
// cancelled before it has begun, too. It panics if there is no such operation.
func (c *Chain) Ticket(i int) op.Ticket { return c.tickets[i] }

// Cancel asks all of the chain that isn't over to end. Any goroutine may call it.
func (c *Chain) Cancel() {
	for i := len(c.tickets) - 1; i >= 0; i-- { // the one under way last: nothing follows then
		c.loop.Cancel(c.tickets[i])
	}
}

// step is the callback of each operation.
func (c *Chain) step(o *op.Op) {
	if o.More() {
		c.done[c.next](o)
		return
	}
	_, err := o.Result()
	o.Done = c.done[c.next]
	goOn := err == nil || o.HardLinked() // now: its owner may prepare it anew
	c.next++
	if c.next < len(c.ops) {
		c.begin(goOn) // in the inbox: the callback, even one that panics, comes first
	}
	o.Done(o)
}

// begin begins the next operation, or ends it.
func (c *Chain) begin(goOn bool) {
	o, l := c.ops[c.next], c.loop
	c.broken = c.broken || !goOn
	switch {
	case c.broken || c.tickets[c.next].Asked():
		l.refuse(o, op.Canceled)
	case namesUnopened(o.Req()): // what should have opened it has failed
		l.refuse(o, op.Closed)
	case !l.submit(o):
		l.refuse(o, op.Closed)
	}
}

// refuse ends an operation that hasn't begun: its callback is due.
func (l *Loop) refuse(o *op.Op, status op.Status) {
	if r := o.Req(); r.Buf != nil {
		r.Buf.Sent()
		r.Buf = nil
	}
	o.Req().Phase = op.Finished
	l.stats.Submitted++
	l.live++
	l.ndue++
	l.due.push(op.Completion{Op: o, Ret: int32(status)})
}
