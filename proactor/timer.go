package proactor

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Timer is a timer that has been started.
type Timer struct {
	loop   *Loop
	ticket op.Ticket
}

// After runs done on the loop d from now, or with op.ErrCanceled after Stop, or
// with ErrClosed when the loop closes. Any goroutine may call it.
func (l *Loop) After(d time.Duration, done func(error)) (Timer, error) {
	k, err := l.calls.get(l, false)
	if err != nil {
		return Timer{}, err
	}
	k.f = done
	k.op.Timeout(d)
	t, err := k.send(0)
	return Timer{l, t}, err
}

// Stop cancels the timer: its callback gets op.ErrCanceled. It reports false if that has
// already begun. Any goroutine may call it.
func (t Timer) Stop() bool { return t.loop.Cancel(t.ticket) }
