package proactor

import (
	"sync"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Ticker is a timer that goes on: see Loop.Every.
type Ticker struct {
	loop  *Loop
	op    op.Op
	every int64 // ns
	next  int64 // on the clock of op.Now
	each  func(error)

	mu      sync.Mutex
	ticket  op.Ticket
	stopped bool
}

// Every runs each on the loop after d and then every d, counted from the call on: a
// callback that comes late doesn't delay the next, and what is missed altogether is
// left out. The last call has an error: op.ErrCanceled after Stop, ErrClosed when
// the loop closes. Clock steps don't matter to it. It panics if d isn't positive. Any
// goroutine may call it.
func (l *Loop) Every(d time.Duration, each func(error)) (*Ticker, error) {
	if each == nil || d <= 0 {
		panic("proactor: Every without a callback, or without a time between")
	}
	t := &Ticker{loop: l, every: int64(d), next: op.After(int64(d)), each: each}
	t.op.Done = t.tick
	if err := t.arm(); err != nil {
		return nil, err
	}
	return t, nil
}

// arm submits the next tick.
func (t *Ticker) arm() (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return op.ErrCanceled
	}
	t.ticket, err = t.loop.Submit(t.op.Timeout(time.Duration(t.next - op.Now())))
	return err
}

func (t *Ticker) tick(o *op.Op) {
	t.loop.names(t.each)
	if _, err := o.Result(); err != nil {
		t.each(err)
		return
	}
	if late := op.Now() - t.next; late >= 0 {
		t.next += (late/t.every + 1) * t.every
	}
	t.each(nil)
	if err := t.arm(); err != nil {
		t.each(err)
	}
}

// Stop ends the ticks; the last callback says so. Any goroutine may call it, each's
// own included.
func (t *Ticker) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.loop.Cancel(t.ticket)
}

// At runs done on the loop when the wall clock shows t, or has passed it: when the
// clock is set meanwhile, done runs earlier or later (timerfd_create(2)). It takes a
// descriptor. Stop cancels it, with op.ErrCanceled. Any goroutine may call it.
func (l *Loop) At(t time.Time, done func(error)) (Timer, error) {
	fd, err := wallTimer(t)
	if err != nil {
		return Timer{}, err
	}
	h, err := l.Register(fd)
	if err != nil {
		op.CloseFD(fd)
		return Timer{}, err
	}
	ticket, err := l.call(func(o *op.Op) { o.Poll(h, pollIn) }, func(err error) {
		_ = l.abortHandle(h, nil)
		if done != nil {
			done(err)
		}
	})
	if err != nil {
		_ = l.abortHandle(h, nil)
	}
	return Timer{l, ticket}, err
}

const pollIn = 1 // POLLIN
