package proactor

import (
	"sync"
	"sync/atomic"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// inbox takes submitted operations from any goroutine to the loop: a stack that
// many push and one empties, linked through the operations themselves, so it
// holds however many and allocates nothing. Sealing it is one exchange: a
// submission is accepted or refused, nothing between.
type inbox struct{ head atomic.Pointer[op.Op] }

// sealed is the head of an inbox that takes no more.
var sealed = new(op.Op)

// push reports whether the inbox took o.
func (q *inbox) push(o *op.Op) bool {
	for {
		h := q.head.Load()
		if h == sealed {
			return false
		}
		o.Req().Next = h
		if q.head.CompareAndSwap(h, o) {
			return true
		}
	}
}

func (q *inbox) empty() bool {
	h := q.head.Load()
	return h == nil || h == sealed
}

// take empties the inbox and returns the operations, oldest first, linked by Next.
func (q *inbox) take() *op.Op {
	if q.empty() {
		return nil
	}
	return oldestFirst(q.head.Swap(nil))
}

// seal closes the inbox and returns what was in it.
func (q *inbox) seal() *op.Op {
	h := q.head.Swap(sealed)
	if h == sealed {
		return nil
	}
	return oldestFirst(h)
}

func oldestFirst(o *op.Op) *op.Op {
	var first *op.Op
	for o != nil {
		next := o.Req().Next
		o.Req().Next = first
		first, o = o, next
	}
	return first
}

// request asks something of one submission.
type request struct {
	of     op.Ticket
	what   ask
	handle *op.HandleState // of toShut
}

type ask uint8

const (
	toEnd ask = iota
	toPause
	toResume
	toShut // the last who used a descriptor has left
)

// mailbox takes what is no operation: posted functions, and cancels and the
// like. The functions have a limit; each submission can be cancelled only once.
type mailbox struct {
	some atomic.Bool // something is in it: looked at without the lock

	mu      sync.Mutex
	posts   []func()
	asks    []request
	limit   int // of posts that have not begun
	pending int // posts that have not begun, here and in the loop
	closed  bool
}

func (m *mailbox) post(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return ErrClosed
	case m.pending >= m.limit:
		return op.ErrFull
	}
	m.posts = append(m.posts, f)
	m.pending++
	m.some.Store(true)
	return nil
}

func (m *mailbox) ask(r request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asks = append(m.asks, r)
	m.some.Store(true)
}

// take moves the contents to the ends of the two slices.
func (m *mailbox) take(posts []func(), asks []request) ([]func(), []request) {
	if !m.some.Load() {
		return posts, asks
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.some.Store(false)
	posts, asks = append(posts, m.posts...), append(asks, m.asks...)
	clear(m.posts)
	clear(m.asks)
	m.posts, m.asks = m.posts[:0], m.asks[:0]
	return posts, asks
}

// began tells that a posted function is about to run.
func (m *mailbox) began() {
	m.mu.Lock()
	m.pending--
	m.mu.Unlock()
}

func (m *mailbox) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pending
}

func (m *mailbox) seal() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
}
