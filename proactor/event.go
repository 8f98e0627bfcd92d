package proactor

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Event is a counter in the kernel (eventfd(2)): who waits for it gets what others
// have added, and other processes may wait and add, too, if they are given its FD.
// An Op of one's own does so by Recv and Send of 8 bytes, in the machine's byte order.
// Any goroutine may call its methods; the callbacks run on the loop.
type Event struct {
	handle
	loop *Loop
}

// NewEvent makes an Event that has been added initial to. With semaphore each Wait
// takes one (EFD_SEMAPHORE), else it takes all that there is. Any goroutine may call
// it.
func (l *Loop) NewEvent(initial uint64, semaphore bool) (*Event, error) {
	fd, err := newEventFD(initial, semaphore)
	if err != nil {
		return nil, err
	}
	e := &Event{loop: l}
	e.State().Counter = true
	if err := l.addHandle(&e.handle, fd, op.Stream, false); err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	return e, nil
}

// Wait waits until the counter isn't zero and takes what is there, or one if the
// Event is a semaphore, away from it (read(2)). Waits are served in their order.
func (e *Event) Wait(done func(n uint64, err error)) (op.Ticket, error) {
	k, err := e.loop.calls.get(e.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Recv(e, k.bytesOfWord())
	return k.send(0)
}

// Add adds n to the counter (write(2)), behind the Adds before it. If the counter would
// exceed 2^64 - 2 by that, it waits until enough is taken away. EINVAL: n is 2^64 - 1.
func (e *Event) Add(n uint64, done func(error)) (op.Ticket, error) {
	k, err := e.loop.calls.get(e.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.word = done, n
	k.op.Send(e, k.bytesOfWord())
	return k.send(0)
}

// Close closes the Event when the Adds submitted before have completed, or the loop's
// linger time is over; waits end with ErrClosed. Its callback is the Event's last.
func (e *Event) Close(done func(error)) error {
	return e.loop.closeHandle(e, done, e.loop.opts.linger)
}

// Abort is Close that ends all at once.
func (e *Event) Abort(done func(error)) error { return e.loop.abortHandle(e, done) }
