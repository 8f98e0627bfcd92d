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
	n    func(int, error)
	e    func(error)
	from func(int, netip.AddrPort, error)
	zc   func(int, bool, error)
	u    func(uint64, error) // gets word
	word uint64              // what an Event's operation reads or writes
	msg  *op.Message         // once it has needed one
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
	c.n, c.e, c.from, c.zc, c.u, c.marks, c.bytes, c.at = nil, nil, nil, nil, nil, nil, 0, place{}
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

// done runs the closure. The call is free before that, so that the closure can
// submit again within the limit.
func (c *call) done(o *op.Op) {
	n, err := o.Result()
	err = c.at.explain(err)
	fn, fe, ff, fz, fu, m, bytes, word := c.n, c.e, c.from, c.zc, c.u, c.marks, c.bytes, c.word
	copied := fz != nil && o.Copied()
	var from netip.AddrPort
	if ff != nil {
		from = c.msg.From()
	}
	c.loop.calls.put(c)
	if m != nil {
		m.sent(bytes)
	}
	switch {
	case fn != nil:
		c.loop.names(fn)
		fn(n, err)
	case fe != nil:
		c.loop.names(fe)
		fe(err)
	case ff != nil:
		c.loop.names(ff)
		ff(n, from, err)
	case fz != nil:
		c.loop.names(fz)
		fz(n, copied, err)
	case fu != nil:
		c.loop.names(fu)
		if err != nil {
			word = 0
		}
		fu(word, err)
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
