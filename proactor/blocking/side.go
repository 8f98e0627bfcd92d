package blocking

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// side is one direction of a descriptor: reads and accepts, or writes. Operations on
// it take their turn, and end at its deadline, which may be moved while one waits.
type side struct {
	turn sync.Mutex // held by the one whose operation it is; the others wait in line
	kept *waiter    // for the next operation; under turn

	deadline atomic.Int64 // on op.Now's clock, 0 is none; set under mu

	mu     sync.Mutex
	armed  int64     // the deadline that the operation under way has
	ticket op.Ticket // of the last submission
}

// take returns a waiter for the one who has the turn, and keep has it back, for the next
// read of the connection, until that is closed: sync.Pool costs more than that.
func (s *side) take(n *Net) *waiter {
	if w := s.kept; w != nil {
		s.kept = nil
		return w
	}
	return n.waiter()
}

func (s *side) keep(w *waiter, g *gate) {
	if g.isClosed() {
		w.free()
		return
	}
	w.op.Nop() // it keeps nobody's memory
	s.kept = w
}

// release gives the kept waiter back, unless an operation is under way, whose end
// does that.
func (s *side) release() {
	if !s.turn.TryLock() {
		return
	}
	defer s.turn.Unlock()
	if s.kept != nil {
		s.kept.free()
		s.kept = nil
	}
}

// when is a point in time on the clock of op.Now.
func when(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	w := op.Now() + int64(time.Until(t))
	switch {
	case w < 0 && t.After(time.Now()):
		return 0 // in 292 years
	case w <= 0:
		return 1
	}
	return w
}

// setDeadline moves the deadline. An operation that has a later one is cancelled: its
// owner sees whether the deadline is over, and submits it anew if it isn't. One that has an
// earlier one is left alone: when that is over its owner does the same.
func (s *side) setDeadline(n *Net, to int64) {
	s.mu.Lock()
	s.deadline.Store(to)
	t, sooner := s.ticket, to != 0 && (s.armed == 0 || to < s.armed)
	s.mu.Unlock()
	if sooner {
		n.loop.Cancel(t) // nothing, if it is over
	}
}

// overdue reports whether the deadline is over.
func (s *side) overdue() error {
	if to := s.deadline.Load(); to != 0 && to <= op.Now() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// do submits the waiter's operation, prepared, with the deadline, and waits for its
// end. The result is final unless moved says that the operation has ended for the sake
// of a deadline that isn't over: then it is to be prepared anew.
func (s *side) do(w *waiter) (n int, moved bool, err error) {
	if w.net.loop.Inside() {
		return 0, false, ErrInside
	}
	if err := s.submit(w); err != nil {
		return 0, false, err
	}
	<-w.woken
	if n, err = w.op.Result(); err == nil {
		return n, false, nil
	}
	if errors.Is(err, op.ErrCanceled) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.overdue()
		return n, err == nil, err
	}
	return n, false, err
}

func (s *side) submit(w *waiter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.overdue(); err != nil {
		return err
	}
	to := s.deadline.Load()
	w.op.Req().When = to
	t, err := w.net.loop.Submit(&w.op)
	s.ticket, s.armed = t, to
	return err
}

// gate is the way to the number of a descriptor, which the loop mustn't close
// meanwhile: it could then be another's.
type gate struct {
	loop   *proactor.Loop
	state  *op.HandleState
	closed atomic.Bool // by Close of this package
}

// isClosed reports whether it is closed, or is being closed with its loop.
func (g *gate) isClosed() bool { return g.closed.Load() || g.state.Closing() }

// use calls f, which mustn't block the loop; net.ErrClosed if it is closed.
func (g *gate) use(f func()) error {
	if err := g.loop.Use(g.state); err != nil {
		return err
	}
	defer g.loop.Unuse(g.state)
	f()
	return nil
}

// close marks it as closed: net.ErrClosed if it is already.
func (g *gate) close() error {
	if g.closed.Swap(true) {
		return net.ErrClosed
	}
	return nil
}
