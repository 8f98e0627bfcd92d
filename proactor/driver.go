package proactor

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// The locked driver: the loop's goroutine stays on one thread, because a ring
// set up for a single issuer, its deferred task work and its registered
// descriptor belong to a thread, and so that no other goroutine is ever taken for
// the loop's.
//
// With WithNetpoller the lock lasts from one wait to the next only, so that a callback
// still has the thread, by which others tell it from themselves: a goroutine that waits
// in Go's netpoller with a thread locked to it is a hand-over between threads, too.
//
// The system calls of a turn are hidden from the Go scheduler (they don't
// block), and only a turn that found nothing to do makes one that may block. A
// goroutine that never passes through the scheduler has its P taken away by
// sysmon after 10 ms, again and again, which costs 8-20 %, and starves whoever
// shares the P; so the driver yields by the clock. In a goroutine locked to its
// thread a yield is a hand-over between threads, 20 us: not more often than needed.
// Where the engine has nothing to do with threads the lock is let go of for the
// yield, which then costs 0.3 us.
const (
	yieldEvery    = int64(time.Millisecond)
	yieldUnlocked = int64(100 * time.Microsecond)
)

// take makes the calling goroutine the loop's.
func (l *Loop) take() error {
	if !l.state.CompareAndSwap(fresh, running) {
		if l.state.Load() == ended || l.sealing.Load() {
			return ErrClosed
		}
		return ErrRunning
	}
	return l.enter()
}

// mine reports whether the caller is the loop's goroutine: no other runs on its
// thread. The answer holds only if the loop has not let go of the thread between
// the two looks: another goroutine could have come to it.
func (l *Loop) mine() bool {
	shifts, owner := l.shifts.Load(), l.owner.Load()
	return owner != 0 && owner == threadID() && l.shifts.Load() == shifts
}

// Inside reports whether the caller is on the loop's goroutine, in a callback for
// example: what blocks there until the loop has done something blocks for ever. It
// is for adapters that block. Any goroutine may call it.
func (l *Loop) Inside() bool { return l.mine() }

// disown is to be called before the goroutine's lock on its thread is let go of.
func (l *Loop) disown() {
	l.shifts.Add(1)
	l.owner.Store(0)
}

// YieldSoon says, in a callback, that goroutines have become runnable which the
// callback has woken: the loop lets them run when it is through with the callbacks
// of this turn, and doesn't keep their processor, or go to sleep, first. What they
// submit then leaves as one batch. Only a callback may call it.
func (l *Loop) YieldSoon() { l.woke = true }

// enter locks the goroutine to its thread and the engine to both.
func (l *Loop) enter() error {
	runtime.LockOSThread()
	if err := l.engine.Enter(); err != nil {
		runtime.UnlockOSThread()
		l.broken, l.abandoned = true, true
		l.now = op.Now()
		l.beginClose() // all that was submitted ends; Close runs the callbacks
		l.state.Store(ended)
		_ = l.engine.Close()
		close(l.done)
		return fmt.Errorf("enter %s: %w", l.engine.Name(), err)
	}
	l.owner.Store(threadID())
	if e, ok := l.engine.(interface{ Parked() bool }); ok {
		l.parked = e.Parked()
	}
	l.yielded, l.yieldEvery = op.Now(), yieldEvery
	if !l.engine.Bound() {
		l.yieldEvery = yieldUnlocked
	}
	if runtime.NumCPU() == 1 || runtime.GOMAXPROCS(0) == 1 {
		l.delegator, _ = l.engine.(op.Delegator)
	}
	held.Lock()
	held.loops[l] = struct{}{}
	held.Unlock()
	return nil
}

// run turns until the loop is drained. It ends by a panic or a Goexit, too: the
// deferred part then leaves the loop closable (rule 14).
func (l *Loop) run() (err error) {
	defer func() {
		if !l.drained() || !l.closing {
			l.abandon()
		}
		l.leave()
	}()
	for last := 0; err == nil && !(l.closing && l.drained()); {
		d := time.Duration(-1)
		if l.giveUp.Load() { // what can still end, ends in a few turns
			if d = lastTurn; last == lastTurns {
				return nil
			}
			last++
		}
		_, err = l.turn(d)
	}
	return err
}

// A loop whose close has run out of patience makes so many more turns, which wait
// so long at most.
const (
	lastTurns = 10
	lastTurn  = 10 * time.Millisecond
)

// turn is one round: take in, submit and reap, run callbacks; if there was
// nothing to do at all, sleep for at most d (no limit if negative).
func (l *Loop) turn(d time.Duration) (n int, err error) {
	l.inTurn = true
	l.now = op.Now()
	if l.woke || l.now-l.yielded > l.yieldEvery {
		l.yield()
	}
	if l.sealing.Load() && !l.closing {
		l.beginClose()
	}
	if n, err = l.work(); n == 0 && err == nil && d != 0 {
		n, err = l.spin()
	}
	if n == 0 && err == nil && d != 0 {
		if err = l.sleep(d); err == nil {
			n = l.callbacks()
		}
	}
	l.inTurn = false // not after a panic: nothing runs then
	return n, err
}

// spin looks for work without sleeping, for as long as WithBusyPoll says.
func (l *Loop) spin() (n int, err error) {
	for end := l.in(int64(l.opts.busyPoll)); l.now < end && n == 0 && err == nil && !l.sealing.Load(); {
		if l.now = op.Now(); l.now-l.yielded > l.yieldEvery {
			l.yield()
		}
		n, err = l.work()
	}
	return n, err
}

// work does what can be done without waiting.
func (l *Loop) work() (int, error) {
	l.stats.Turns++
	l.admitAll()
	l.letBegin(false)
	l.expire()
	l.collectBuffers()
	var err error
	l.batch, err = l.engine.Poll(l.batch[:0])
	l.settleBatch()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l.engine.Name(), err)
	}
	return l.callbacks(), nil
}

func (l *Loop) settleBatch() {
	for i, c := range l.batch {
		l.batch[i] = op.Completion{}
		l.settle(c)
	}
}

// in is the time d ns after the turn's; as late as there is, if that is later.
func (l *Loop) in(d int64) int64 { return l.now + min(d, math.MaxInt64-l.now) }

// sleep waits for a completion, a wake-up, the next deadline, or d.
func (l *Loop) sleep(d time.Duration) error {
	keep := l.keepP()
	if when, ok := l.timers.next(); ok {
		until := max(time.Duration(when-op.Now()), 0)
		if d < 0 || until < d {
			d = until
		}
	}
	l.publish()
	l.sleeping.Store(true)
	defer l.sleeping.Store(false)
	// Who submits after this look sees that the loop sleeps, and wakes it.
	if !l.inbox.empty() || l.mail.some.Load() || l.sealing.Load() && !l.closing || l.closing && l.drained() || l.buffersWait() {
		return nil
	}
	var err error
	l.letGo()
	l.batch, err = l.engine.Wait(d, keep, l.batch[:0])
	l.takeHold()
	before := l.now
	if l.now = op.Now(); l.now-before > l.yieldEvery {
		l.yielded, l.alone = l.now, false // it blocked for so long that the P went to others
	}
	l.settleBatch()
	if err != nil {
		return fmt.Errorf("%s: %w", l.engine.Name(), err)
	}
	return nil
}

// letGo lets go of the thread before a wait in Go's netpoller, for which a goroutine
// locked to its thread would have to hand over to another one.
func (l *Loop) letGo() {
	if l.parked {
		l.disown()
		runtime.UnlockOSThread()
	}
}

func (l *Loop) takeHold() {
	if l.parked {
		runtime.LockOSThread()
		l.owner.Store(threadID())
	}
}

// keepP returns how long the coming wait may keep the P: until the next yield is
// due, if nobody else wanted it at the last one, and if that is worth it.
func (l *Loop) keepP() time.Duration {
	if !l.alone || !l.engine.Soon() {
		return 0
	}
	left := l.yielded + l.yieldEvery - op.Now()
	if left < l.yieldEvery/2 {
		l.yield()
		left = l.yieldEvery
	}
	if !l.alone {
		return 0
	}
	return time.Duration(min(left, l.yieldEvery*3/4)) // a wait of yieldEvery counts as a yield
}

func (l *Loop) yield() {
	l.publish()
	l.woke = false
	l.stats.Yields++
	l.flushPeers(false)
	before := op.Now()
	if l.engine.Bound() {
		runtime.Gosched()
	} else {
		l.disown() // others may have the thread meanwhile
		runtime.UnlockOSThread()
		runtime.Gosched()
		runtime.LockOSThread()
		l.owner.Store(threadID())
	}
	l.now = op.Now()
	l.yielded, l.alone, l.crowded = l.now, l.now-before < aYield, l.now-before > longYield
}

// flushPeers sends the wake-ups of PostTo that wait for the next submission.
func (l *Loop) flushPeers(last bool) {
	if l.peers != nil {
		l.peers.FlushPeers(last)
	}
}

// aYield is longer than a yield takes if no other goroutine had work to do.
const aYield = int64(100 * time.Microsecond)

// longYield is longer than a yield takes for a worker to begin with a system call.
const longYield = int64(time.Millisecond)

// abandon ends everything without running a callback: one has panicked, or the
// engine has failed.
func (l *Loop) abandon() {
	l.sealing.Store(true)
	l.abandoned = true
	if !l.closing {
		l.now = op.Now()
		l.beginClose()
	}
	for _, h := range l.handlesNow() {
		l.maybeShut(h)
	}
	for !l.kernelDone() && !l.giveUp.Load() {
		batch, err := l.engine.Wait(-1, 0, l.batch[:0])
		l.batch = batch
		l.settleBatch()
		if err != nil {
			break
		}
	}
}

// held has the loops that run, and keeps those whose close ran out of patience, or that
// were dropped without one: the kernel may still write to what their operations hold.
var held = struct {
	sync.Mutex
	loops map[*Loop]struct{}
}{loops: map[*Loop]struct{}{}}

// leave releases the engine and gives the thread back.
func (l *Loop) leave() {
	l.disown()
	l.publish()
	l.pipes.Close()
	if l.engine.InFlight() == 0 {
		_ = l.engine.Close()
		held.Lock()
		delete(held.loops, l)
		held.Unlock()
	} else {
		l.flushPeers(true)
	}
	l.state.Store(ended)
	runtime.UnlockOSThread()
	close(l.done)
}

// RunOnce is one turn of the loop, for programs with a loop of their own: it
// waits for at most d until there is something to do (0: doesn't wait, negative:
// no limit), and returns how many callbacks ran. The first call makes the
// calling goroutine, locked to its thread, the loop's; later ones must come from
// it, and so must Close. It returns net.ErrClosed once the loop is closed.
func (l *Loop) RunOnce(d time.Duration) (int, error) {
	if l.state.Load() == fresh {
		if err := l.take(); err != nil {
			return 0, err
		}
	}
	switch {
	case l.state.Load() == ended:
		return 0, ErrClosed
	case !l.mine() || l.inTurn:
		return 0, ErrRunning
	}
	return l.once(d)
}

func (l *Loop) once(d time.Duration) (n int, err error) {
	whole := false
	defer func() {
		if !whole {
			l.abandon()
			l.leave()
		} else if l.closing && l.drained() {
			l.leave()
		}
	}()
	n, err = l.turn(d)
	l.flushPeers(false) // the next turn may be a while
	whole = err == nil
	return n, err
}
