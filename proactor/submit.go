package proactor

import (
	"net"
	"syscall"

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

// admitAll takes in what other goroutines, and callbacks, have submitted.
func (l *Loop) admitAll() {
	// The mail first: what a cancel in it names was submitted before, so it is
	// in the inbox or here already.
	l.posts, l.asks = l.mail.take(l.posts, l.asks)
	l.admitList(l.inbox.take())
	for _, r := range l.asks {
		if r.what == toShut {
			l.unused(r.handle)
		} else if r.of.Current() {
			l.answer(r)
		}
	}
	clear(l.asks)
	l.asks = l.asks[:0]
}

func (l *Loop) answer(r request) {
	o := r.of.Op()
	multi := o.Code().Info().Multi
	switch {
	case r.what == toEnd:
		l.end(o, op.ByCancel)
	case r.what == toPause && multi:
		l.rest(o, op.Paused)
	case r.what == toResume && multi:
		l.resume(o, op.Paused)
	}
}

func (l *Loop) admitList(o *op.Op) {
	ask := l.delegator != nil
	for o != nil {
		next := o.Req().Next
		if next != nil {
			cork(o.Req(), next.Req())
		}
		files := ask && next != nil && byWorker(o) && !byWorker(next)
		l.admit(o)
		if files {
			l.letBegin(true)
			ask = false // once: a worker may have it done by now, and be alone with the next
		}
		o = next
	}
	for i, h := range l.senders {
		l.senders[i] = nil
		l.advance(&h.State().Out)
		l.maybeShut(h)
	}
	l.senders = l.senders[:0]
}

// cork has a Send leave together with the file that was submitted right behind it, as
// HTTP's heads do: that is one packet less. Not with one that may turn out to be empty: its
// head would wait for the 200 ms after which the kernel sends it nevertheless (man 7 tcp).
// And on streams alone: no file is sent to a datagram socket, on which the head would wait
// for ever, to become one datagram with the next (man 7 udp).
func cork(r, next *op.Req) {
	if r.Code == op.Send && next.Code == op.SendFile && next.Handle == r.Handle && next.N > 0 && next.Args().Mode == 0 &&
		!r.Handle.State().Kind.HasBounds() {
		r.Flags |= op.Corked
	}
}

// admit puts a submitted operation where it belongs and, if nothing is before
// it, starts it.
func (l *Loop) admit(o *op.Op) {
	l.live++
	l.stats.Submitted++
	r := o.Req()
	r.Phase = op.Waiting
	switch r.Code {
	case op.Timeout:
		l.loose.Push(o)
		l.timers.arm(o)
		return
	case op.Cancel:
		l.admitCancel(o)
		return
	case op.Close:
		l.admitClose(o)
		return
	}
	if r.When != 0 {
		l.timers.arm(o)
	}
	if r.Code.Info().Second {
		admit2(r)
	}
	if r.Handle == nil {
		l.loose.Push(o)
		l.start(o)
		return
	}
	s := r.Handle.State()
	s.Admitted++
	if s.Shut || !s.Closers.Empty() {
		r.Why = op.ByClose // submitted while another goroutine submitted the close
	}
	line := s.Position(r.Code)
	if line == nil {
		s.Loose.Push(o)
		l.start(o)
		return
	}
	if r.Code == op.RecvEach || r.Code == op.RecvMsgEach {
		l.needBuffers()
	}
	first := line.Empty()
	line.Push(o)
	switch {
	case !first:
	case line == &s.Out && s.Kind.HasBounds():
		l.senders = append(l.senders, r.Handle) // those behind it in the inbox leave with it
	default:
		l.advance(line)
		l.maybeShut(r.Handle)
	}
}

func (l *Loop) admitCancel(o *op.Op) {
	t := o.Req().CancelTarget()
	l.loose.Push(o)
	if current, _ := t.Ask(); !current {
		l.finish(o, int32(op.NotFound))
		return
	}
	l.end(t.Op(), op.ByCancel)
	l.finish(o, 0)
}

// start begins the first attempt at an operation, unless it is over already.
func (l *Loop) start(o *op.Op) {
	if over, status := l.settled(o); over {
		l.finish(o, status)
		return
	}
	l.attempt(o)
}

func (l *Loop) attempt(o *op.Op) {
	o.Req().Phase = op.Started
	switch o.Req().Code {
	case op.Send, op.SendMsg:
		gather(o)
	case op.SendZC:
		l.plainOrNot(o.Req())
	}
	l.engine.Start(o)
}

// settled reports an operation's outcome if it has one without an attempt.
func (l *Loop) settled(o *op.Op) (bool, int32) {
	r := o.Req()
	if r.Why != op.NotAsked {
		return true, statusOf(r.Why)
	}
	if l.closing {
		return true, int32(op.Closed)
	}
	switch info := r.Code.Info(); info.Shape {
	case op.Some, op.Whole:
		if info.At && r.Handle.State().NoSeek {
			return true, -int32(syscall.ESPIPE) // some rings would ignore the offset
		}
		if over, status := l.unfit(r); over {
			return true, status
		}
		if info.Multi { // files have no readiness and no end to wait for
			return r.Handle.State().Kind.IsFile(), -int32(syscall.EOPNOTSUPP)
		}
		if info.Line == op.OutLine && r.Handle.State().Torn {
			return true, int32(op.Torn)
		}
		return r.Total() == 0 && (r.Code == op.SendMsgs || !r.Handle.State().Kind.HasBounds()), 0
	}
	return false, 0
}

// unfit reports whether a descriptor can't do what is asked of it.
func (l *Loop) unfit(r *op.Req) (bool, int32) {
	switch kind := r.Handle.State().Kind; {
	case r.Code == op.SendFile && (r.Args().Dir2.State().Kind != op.File || kind.HasBounds() || kind.IsFile()):
		return true, -int32(syscall.EINVAL)
	case r.Code == op.SendZC && kind.HasBounds():
		return true, -int32(syscall.EOPNOTSUPP)
	}
	if r.Code < op.RecvMsg || r.Code > op.SendMsgs {
		return false, 0
	}
	kind := r.Handle.State().Kind
	switch {
	case !kind.IsSocket():
		return true, -int32(syscall.ENOTSOCK)
	case r.Code == op.SendMsgs && !kind.HasBounds():
		return true, -int32(syscall.EOPNOTSUPP)
	case r.Code == op.RecvMsgEach && r.MessageRoom().Total() >= l.opts.bufSize:
		return true, -int32(syscall.EINVAL)
	}
	return false, 0
}

// advance starts the head of a line. What is over already makes room for the
// next: a loop and not a recursion, however many wait.
func (l *Loop) advance(line *op.List) {
	for {
		o := line.Head()
		if o == nil || o.Req().Phase != op.Waiting {
			return
		}
		over, status := l.settled(o)
		if !over {
			if o.Req().Flags&op.Paused != 0 {
				o.Req().Phase = op.Resting
			} else {
				l.attempt(o)
			}
			return
		}
		l.conclude(o, line, status)
	}
}
