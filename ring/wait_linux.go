package ring

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Poll submits and reaps without waiting.
func (e *Engine) Poll(done []op.Completion) ([]op.Completion, error) {
	e.look()
	e.submitLine()
	err := e.enterNow()
	return e.reap(done), err
}

// Wait submits, and reaps when there is something or d is over.
func (e *Engine) Wait(d, hold time.Duration, done []op.Completion) ([]op.Completion, error) {
	e.look()
	e.submitLine()
	e.FlushPeers(false) // the wait would hold their descriptors
	d = e.quiet.limit(e.retries.Limit(d))
	if e.Parked() {
		e.parker.Limit(d)
	}
	var err error
	if e.waker.Arm() && len(e.done) == 0 && d != 0 && len(e.cancels) == 0 && e.lineHead == len(e.line) && !e.unwatched {
		e.counters.Enters++
		e.counters.Waits++
		err = e.wait(d, hold)
		e.entered()
	}
	e.waker.Disarm()
	return e.reap(done), err
}

// Soon reports whether files are being read or written.
func (e *Engine) Soon() bool { return e.files > 0 }

// several is how long several completions are waited for, if there is nothing but
// files to wait for.
const several = 300 * time.Microsecond

// wait submits and waits for a completion, for d at most (no limit if negative).
//
// A disk answers again in a moment, so the P is kept at first if it may be: each
// sleep that the Go scheduler knows of wakes its monitor thread, which then looks
// every 20 us for the P to come back. That costs more than a direct read, and makes
// the next one late (32 in flight: 70,000 reads a second of 6.2 us each, against
// 80,000 of 3.7 us). A signal ends the wait, so a stop-the-world isn't late.
func (e *Engine) wait(d, hold time.Duration) error {
	if e.Parked() {
		if err := e.r.enterNow(); err != nil || e.r.pending() {
			return err // the kernel takes the rest when completions are reaped, or memory is free
		}
		return e.parker.Park()
	}
	if e.files > 0 && hold > several && (d < 0 || d > hold) {
		if n := min(e.files/8+1, 16); n > 1 && e.files == e.inFlight {
			hold -= several
			e.counters.Enters++
			if ready, err := e.r.enterSoon(n, int64(several)); ready || err != nil {
				return err
			}
		}
		e.counters.Enters++
		if ready, err := e.r.enterSoon(1, int64(hold)); ready || err != nil {
			return err
		}
	}
	return e.r.enterWait(int64(d))
}

// sweep is how many completions are taken in one go. What is behind them stays in
// the ring for the next turn: a burst would only make the lists on the way to the
// callbacks grow, for good.
const sweep = 256

// reap collects what is finished. When the completion queue has overflowed, the
// kernel holds the rest until there is room, and an enter fetches it.
func (e *Engine) reap(done []op.Completion) []op.Completion {
	e.r.reap(sweep, e.heard)
	for len(e.done) < sweep && e.r.overflowed() {
		e.counters.Overflows++
		if e.enterNow() != nil || e.r.reap(sweep, e.heard) == 0 {
			break
		}
	}
	for _, o := range e.retries.Due() {
		e.begin(o)
	}
	e.cancels = append(e.cancels, e.again...)
	e.again = e.again[:0]
	had := len(done)
	done = append(done, e.done...)
	clear(e.done)
	e.done = e.done[:0]
	done = e.workers.Finished(done)
	e.inFlight -= len(done) - had
	return done
}
