package proactor

import (
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// call is an operation behind a closure verb: it comes from the loop's free
// list, its Done is bound once.
type call struct {
	op   op.Op
	loop *Loop
	next *call
	f    any         // the closure: one of the types that answer.to knows
	word uint64      // what an Event's operation reads or writes
	msg  *op.Message // once it has needed one
	at   place

	marks *marks // of the connection whose water it is part of
	bytes int64
}

// callPool is the free list of calls, and their limit.
type callPool struct {
	mu    sync.Mutex
	free  *call
	used  int
	limit int
}

// get returns a call; must is for closes, which are never refused.
func (p *callPool) get(l *Loop, must bool) (*call, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used >= p.limit && !must {
		return nil, op.ErrFull
	}
	p.used++
	c := p.free
	if c == nil {
		c = &call{loop: l}
		c.op.Done = c.done
		return c, nil
	}
	p.free, c.next = c.next, nil
	return c, nil
}

func (p *callPool) put(c *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	c.f, c.marks, c.bytes, c.at = nil, nil, 0, place{}
	if c.msg != nil {
		c.msg.Data = nil
	}
	c.next, p.free = p.free, c
}

func (p *callPool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// answer is what an operation came to, for closures of all types.
type answer struct {
	n      int
	err    error
	from   netip.AddrPort
	copied bool
	word   uint64
}

// done runs the closure. The call is free before that, so that the closure can
// submit again within the limit.
func (c *call) done(o *op.Op) {
	a := answer{copied: o.Copied(), word: c.word}
	a.n, a.err = o.Result()
	a.err = c.at.explain(a.err)
	f, m, bytes := c.f, c.marks, c.bytes
	if _, ok := f.(func(int, netip.AddrPort, error)); ok {
		a.from = c.msg.From()
	}
	c.loop.calls.put(c)
	if m != nil {
		m.sent(bytes)
	}
	c.loop.names(f)
	a.to(f)
}

// to calls the closure, unless it is nil: nobody wants to know.
func (a *answer) to(f any) {
	switch f := f.(type) {
	case func(int, error):
		if f != nil {
			f(a.n, a.err)
		}
	case func(error):
		if f != nil {
			f(a.err)
		}
	case func(int, netip.AddrPort, error):
		if f != nil {
			f(a.n, a.from, a.err)
		}
	case func(int, bool, error):
		if f != nil {
			f(a.n, a.copied, a.err)
		}
	case func(uint64, error):
		if a.err != nil {
			a.word = 0
		}
		if f != nil {
			f(a.word, a.err)
		}
	}
}

// message returns the call's message, to be prepared.
func (c *call) message() *op.Message {
	if c.msg == nil {
		c.msg = new(op.Message)
	}
	return c.msg
}

// bytesOfWord returns the call's word as the kernel moves it.
func (c *call) bytesOfWord() []byte {
	return (*[8]byte)(unsafe.Pointer(&c.word))[:]
}

// send submits the prepared call, with a timeout if d is positive.
func (c *call) send(d time.Duration) (op.Ticket, error) {
	if d > 0 {
		c.op.SetTimeout(d)
	}
	t, err := c.loop.Submit(&c.op)
	if err != nil {
		err = c.at.explain(err)
		c.loop.calls.put(c)
	}
	return t, err
}
