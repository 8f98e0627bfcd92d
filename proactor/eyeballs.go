package proactor

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// dialing is a dial of a name under way: a lookup, then attempts to connect, which
// may run side by side ("happy eyeballs", RFC 8305).
//
// A timer spans the whole, and only its callback calls the user's. So each end is
// one and the same: the limit of time, Cancel of the timer's ticket, Close of the
// loop; and a result, which cancels the timer. Everything but the lookup happens
// on the loop's goroutine.
type dialing struct {
	Dialer
	target
	loop *Loop
	done func(*Conn, error)
	end  time.Time // zero: no limit

	whole   op.Ticket // of the timer
	stop    context.CancelFunc
	arrived op.Op // the lookup's end: unlike a Post it is never refused for a full queue
	found   []netip.AddrPort
	missed  error // of the lookup

	rest  []netip.AddrPort // not tried yet
	open  []*attempt
	pace  op.Op     // the delay before the next attempt
	paced op.Ticket // of pace
	over  bool
	conn  *Conn
	err   error // the first
}

// attempt is a connect under way.
type attempt struct {
	op   op.Op
	dial *dialing
	conn *Conn
	to   netip.AddrPort
}

// forever is the limit of a dial that has none.
const forever = time.Duration(math.MaxInt64 / 2)

// dialName dials what has to be looked up.
func (d *Dialer) dialName(l *Loop, to target, limit time.Duration, done func(*Conn, error)) (op.Ticket, error) {
	k, err := l.calls.get(l, false)
	if err != nil {
		return op.Ticket{}, err
	}
	x := &dialing{Dialer: *d, target: to, loop: l, done: done}
	if limit == 0 {
		limit = forever
	} else {
		x.end = time.Now().Add(limit)
	}
	x.arrived.Done = x.begin
	x.pace.Done = func(*op.Op) { x.next() }
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	k.f = func(_ int, err error) { x.ended(err) }
	k.op.Timeout(limit)
	if x.whole, err = k.send(0); err != nil {
		stop()
		return op.Ticket{}, err
	}
	t := x.whole
	go x.lookUp(ctx)
	return t, nil
}

func (x *dialing) lookUp(ctx context.Context) {
	x.found, x.missed = x.find(ctx, x.Resolver)
	// A closed loop refuses it: then the timer's callback has ended the whole.
	_, _ = x.loop.Submit(x.arrived.Timeout(0))
}

// begin goes on with the lookup's result.
func (x *dialing) begin(*op.Op) {
	if x.missed != nil {
		x.note(x.address, x.missed)
	}
	x.rest = interleave(x.found)
	x.next()
}

// interleave lets the families take turns, beginning with that of the first.
func interleave(all []netip.AddrPort) []netip.AddrPort {
	var mixed, others []netip.AddrPort
	for _, a := range all {
		if a.Addr().Is4() == all[0].Addr().Is4() {
			mixed = append(mixed, a)
		} else {
			others = append(others, a)
		}
	}
	for i, a := range others {
		mixed = slices.Insert(mixed, min(2*i+1, len(mixed)), a)
	}
	return mixed
}

// next begins the next attempt. It is called when an attempt has failed and when
// the delay is over.
func (x *dialing) next() {
	if x.over || x.loop.closing { // the timer's callback ends a closing loop's
		return
	}
	for begun := false; !begun && len(x.rest) > 0; {
		to := x.rest[0]
		err := x.attempt(to)
		x.rest = x.rest[1:]
		if begun = err == nil; !begun {
			x.note(to.String(), err)
		}
	}
	if len(x.open) == 0 { // and none is left to be tried
		x.finish()
		return
	}
	if len(x.rest) > 0 && x.FallbackDelay >= 0 {
		delay := x.FallbackDelay
		if delay == 0 {
			delay = fallbackDelay
		}
		// On an error the loop is closing.
		x.paced, _ = x.loop.Submit(x.pace.Timeout(delay))
	}
}

func (x *dialing) attempt(to netip.AddrPort) error {
	sa, err := op.IPSockaddr(to)
	if err != nil {
		return err
	}
	c, err := x.Dialer.conn(x.loop, x.network, sa)
	if err != nil {
		return err
	}
	a := &attempt{dial: x, conn: c, to: to}
	a.op.Done = a.ended
	a.op.Connect(c, sa)
	if x.FallbackDelay < 0 && !x.end.IsZero() {
		if left := time.Until(x.end); share(left, len(x.rest)) < left {
			a.op.SetTimeout(share(left, len(x.rest)))
		}
	}
	if _, err := x.loop.Submit(&a.op); err != nil {
		_ = c.Abort(nil)
		return err
	}
	x.open = append(x.open, a)
	return nil
}

// share is the part of the time left that the first of n addresses gets: as much as
// the others, but no less than 2 s.
func share(left time.Duration, n int) time.Duration {
	return max(left/time.Duration(n), 2*time.Second)
}

// ended is the callback of an attempt.
func (a *attempt) ended(o *op.Op) {
	x := a.dial
	if x.over {
		return // it was aborted, whatever it came to
	}
	x.open = slices.DeleteFunc(x.open, func(b *attempt) bool { return b == a })
	if _, err := o.Result(); err != nil {
		_ = a.conn.Abort(nil)
		x.note(a.to.String(), err)
		x.hurry()
		return
	}
	x.conn = a.conn
	x.finish()
}

// hurry begins the next attempt without a delay.
func (x *dialing) hurry() {
	if x.pace.InFlight() {
		x.loop.Cancel(x.paced) // its callback begins it
	} else {
		x.next()
	}
}

// note keeps the first error.
func (x *dialing) note(address string, err error) {
	if x.err == nil {
		x.err = opError("dial", x.network, address, err)
	}
}

// finish ends the dial with a connection, or with the error kept.
func (x *dialing) finish() {
	x.tidy()
	x.loop.Cancel(x.whole)
}

// tidy ends what is under way for the dial.
func (x *dialing) tidy() {
	x.over = true
	x.stop()
	if x.pace.InFlight() {
		x.loop.Cancel(x.paced)
	}
	for _, a := range x.open {
		_ = a.conn.Abort(nil)
	}
	x.open = nil
}

// ended is the callback of the timer: err is why it ended, which counts if there
// was no result yet.
func (x *dialing) ended(err error) {
	finished := x.over
	x.tidy()
	switch {
	case errors.Is(err, ErrClosed): // the connection, too, if there was one
	case finished && x.conn != nil:
		x.done(x.conn, nil)
		return
	case finished:
		x.done(nil, x.err)
		return
	case err == nil:
		err = os.ErrDeadlineExceeded
	}
	x.done(nil, opError("dial", x.network, x.address, err))
}
