package proactor

import (
	"net"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// ErrClosed is what a closed loop or handle answers: net.ErrClosed.
var ErrClosed = net.ErrClosed

// Submit hands a prepared operation to the loop. From here until its final
// callback, o and its memory belong to the loop. The ticket names this
// submission, for Cancel. Any goroutine may call it.
//
// It returns net.ErrClosed if the loop or a handle of the operation is closed or
// closing, and op.ErrInvalid if the verb was given impossible arguments (a
// negative offset, a path with a NUL): then o stays the caller's and there is no
// callback. It panics if o has no callback, was not prepared, is in flight, or
// names a handle of another loop.
func (l *Loop) Submit(o *op.Op) (op.Ticket, error) {
	if err := wellFormed(o); err != nil {
		return op.Ticket{}, err
	}
	r := o.Req()
	l.mustBeOurs(r)
	if r.Buf != nil {
		r.Buf.Lend()
	}
	t := o.Claim()
	if !l.submit(o) {
		if r.Buf != nil {
			r.Buf.Unlend()
		}
		o.Yield()
		return op.Ticket{}, ErrClosed
	}
	return t, nil
}

// wellFormed reports what is wrong with a prepared operation by itself.
func wellFormed(o *op.Op) error {
	r := o.Req()
	if o.Done == nil {
		panic("proactor: submit of an Op without a callback (Op.Done is nil)")
	}
	if r.Code == op.None {
		panic("proactor: submit of an Op that no verb has prepared")
	}
	if r.Flags&op.Invalid != 0 {
		return op.ErrInvalid
	}
	return nil
}

// submit hands a claimed operation to the loop's goroutine, unless the loop or its
// handle takes no more.
func (l *Loop) submit(o *op.Op) bool {
	r := o.Req()
	if r.Code == op.Timeout {
		r.When = op.After(r.Off) // not from the turn's time, which is a little earlier
	}
	if !l.letIn(r, o) {
		return false
	}
	l.wake()
	return true
}

func (l *Loop) mustBeOurs(r *op.Req) {
	switch {
	case r.Handle == nil && r.Code.Info().Handle:
		panic("proactor: " + r.Code.String() + " without a handle")
	case r.Handle != nil && r.Handle.State().Loop != l.id:
		panic("proactor: " + r.Code.String() + " on a handle of another loop")
	}
	if r.Code.Info().Second {
		l.mustBeOurs2(r)
	}
}

// letIn puts the operation into the inbox if its handle and the loop take it.
func (l *Loop) letIn(r *op.Req, o *op.Op) bool {
	if r.Code.Info().Second {
		return l.letIn2(r, o)
	}
	if r.Handle == nil {
		return l.inbox.push(o)
	}
	s := r.Handle.State()
	if r.Code == op.Close && !r.IfIdle() {
		return (s.SealForClose() || r.Flags&op.Abortive != 0) && l.inbox.push(o)
	}
	if !s.Let() {
		return false
	}
	if !l.inbox.push(o) {
		s.LetOut()
		return false
	}
	return true
}

// Cancel asks one submission to end (rule 6). The answer is whether it was still
// under way; its final callback comes in any case, with the operation's real
// result or with op.ErrCanceled. A ticket of an earlier submission does nothing.
// Any goroutine may call it.
func (l *Loop) Cancel(t op.Ticket) bool {
	current, first := t.Ask()
	if first {
		l.mail.ask(request{of: t, what: toEnd})
		l.wake()
	}
	return current
}

// Pause lets a multishot operation rest: results that are under way still come,
// then none until Resume. It does nothing to other operations, or to a submission
// that is over. Any goroutine may call it.
func (l *Loop) Pause(t op.Ticket) { l.ask(t, toPause) }

// Resume ends a Pause.
func (l *Loop) Resume(t op.Ticket) { l.ask(t, toResume) }

func (l *Loop) ask(t op.Ticket, what ask) {
	if t.Current() {
		l.mail.ask(request{of: t, what: what})
		l.wake()
	}
}

// Post runs f on the loop's goroutine, after the callbacks that are due. It
// returns op.ErrFull when as many functions are waiting as WithMaxPosts allows,
// and net.ErrClosed on a closed loop; otherwise f runs exactly once. Any
// goroutine may call it.
func (l *Loop) Post(f func()) error {
	if f == nil {
		panic("proactor: post of a nil function")
	}
	if err := l.mail.post(f); err != nil {
		return err
	}
	l.wake()
	return nil
}

// PostTo is to.Post(f), for callbacks of l. If to sleeps and both loops are on io_uring,
// the wake-up needs no system call of its own: it goes with what l submits when its
// callbacks have run, as a message from ring to ring (IORING_OP_MSG_RING, Linux 5.18),
// so up to a turn of l later. Elsewhere, also in what isn't a callback of l, it is Post.
//
// It measures no better: a post to a loop that sleeps, and back, took 8 to 10 us of CPU
// by messages and 8 to 12 us by eventfds (Linux 6.18, two cores with other work,
// BenchmarkPostPingPong), and the time between is the same within what the other work
// does to it. What it spares is the system call within the callback.
func (l *Loop) PostTo(to *Loop, f func()) error {
	if f == nil {
		panic("proactor: post of a nil function")
	}
	if err := to.mail.post(f); err != nil {
		return err
	}
	// Who wakes by a message leaves to.sleeping as it is: until the message is sent,
	// others must not count on it.
	if to.sleeping.Load() && (l.peers == nil || !l.mine() || !l.inTurn || !l.peers.WakePeer(to.engine)) {
		to.wake()
	}
	return nil
}

// wake ends the loop's sleep if it sleeps.
func (l *Loop) wake() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		l.engine.Wake()
	}
}
