package blocking

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// ErrInside is what a method answers that would wait, on the loop's own goroutine,
// for the loop.
var ErrInside = errors.New("blocking: called in a callback of the loop that it would wait for")

// Net makes listeners, connections and files whose methods block, over one loop.
type Net struct {
	loop *proactor.Loop
	own  bool
	ran  chan struct{} // closed when the loop of our own has ended
	err  error         // of its Run
}

// New makes a loop with the options and runs it on a goroutine. Close ends it. The
// loop waits in Go's netpoller, unless an option says otherwise.
func New(opts ...proactor.Option) (*Net, error) {
	l, err := proactor.New(append([]proactor.Option{proactor.WithNetpoller(true)}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("blocking: %w", err)
	}
	n := &Net{loop: l, own: true, ran: make(chan struct{})}
	go n.run()
	return n, nil
}

func (n *Net) run() {
	defer close(n.ran)
	if err := n.loop.Run(context.Background()); !errors.Is(err, net.ErrClosed) { // else Close was quicker
		n.err = err
	}
}

// On returns a Net over a loop that somebody else runs, and closes. Until it runs,
// methods wait.
func On(l *proactor.Loop) *Net { return &Net{loop: l} }

var ofProgram = sync.OnceValues(func() (*Net, error) { return New() })

// Default returns the Net of the package's functions. The first call makes it; the
// error, if that fails, is that of New, and stays.
func Default() (*Net, error) { return ofProgram() }

// Loop returns the loop, for operations with callbacks.
func (n *Net) Loop() *proactor.Loop { return n.loop }

// Close ends the loop that New made: what waits on it returns with net.ErrClosed or
// os.ErrClosed, and what is open is closed. On a Net made by On it does nothing. It
// mustn't be called on the Net of Default.
func (n *Net) Close() error {
	if !n.own {
		return nil
	}
	err := n.loop.Close()
	if n.loop.Inside() {
		return err
	}
	<-n.ran
	return errors.Join(err, n.err)
}

// Wait submits a prepared operation, on handles of n's loop (a *proactor.Conn or File;
// those of this package have methods instead), and waits for its end: the result is that
// of Op.Result. When the context ends first, the operation is cancelled, and Wait returns
// once the kernel has let go of its memory: with the context's cause, or with the
// operation's own result if it was quicker. What has moved until then is counted.
//
// The operation's callback is Wait's: Op.Done is set, and nil afterwards. Multishot
// operations have no one end to wait for: Wait panics. Otherwise it is as Loop.Submit:
// net.ErrClosed when loop or handle are closed, op.ErrInvalid for impossible arguments,
// a panic for an operation that is in flight or of another loop.
func (n *Net) Wait(ctx context.Context, o *proactor.Op) (int, error) {
	switch {
	case o.InFlight():
		panic("blocking: Wait for an operation that is in flight (" + o.Code().String() + ")")
	case o.Code().Info().Multi:
		panic("blocking: Wait for a multishot operation (" + o.Code().String() + ")")
	}
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if n.loop.Inside() {
		return 0, ErrInside
	}
	w := n.waiter()
	defer w.free()
	o.Done = w.done
	defer func() { o.Done = nil }()
	t, err := n.loop.Submit(o)
	if err != nil {
		return 0, err
	}
	if !w.wait(ctx, t) {
		if k, err := o.Result(); errors.Is(err, op.ErrCanceled) {
			return k, context.Cause(ctx)
		}
	}
	return o.Result()
}

// waiter is an operation and the goroutine that waits for its end.
type waiter struct {
	op      op.Op
	net     *Net
	woken   chan struct{} // has room for one
	done    func(*op.Op)  // bound once
	msg     op.Message    // of datagrams
	scratch scratch
}

var waiters = sync.Pool{New: func() any {
	w := &waiter{woken: make(chan struct{}, 1)}
	w.done = w.wake
	w.op.Done = w.done
	return w
}}

func (n *Net) waiter() *waiter {
	w := waiters.Get().(*waiter)
	w.net = n
	return w
}

// free gives the waiter back. It keeps nobody's memory.
func (w *waiter) free() {
	w.op.Nop()
	w.net = nil
	if w.msg.Data != nil {
		w.msg = op.Message{}
	}
	waiters.Put(w)
}

// wake is the callback. The loop goes on when those whom it has woken have had their
// turn: what they ask for next leaves in one batch.
func (w *waiter) wake(*op.Op) {
	n := w.net // w is its owner's from the next line on
	w.woken <- struct{}{}
	n.loop.YieldSoon()
}

// wait waits for the callback; when the context ends before that it cancels what
// the ticket names, waits on, and returns false.
func (w *waiter) wait(ctx context.Context, t op.Ticket) (inTime bool) {
	if ctx.Done() == nil {
		<-w.woken
		return true
	}
	select {
	case <-w.woken:
		return true
	case <-ctx.Done():
		w.net.loop.Cancel(t)
		<-w.woken
		return false
	}
}

// submit submits the waiter's operation and waits for its end.
func (w *waiter) submit() (int, error) {
	if w.net.loop.Inside() {
		return 0, ErrInside
	}
	if _, err := w.net.loop.Submit(&w.op); err != nil {
		return 0, err
	}
	<-w.woken
	return w.op.Result()
}
