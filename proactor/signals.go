package proactor

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// SignalWatch is signals that come as callbacks: see Loop.Signals.
type SignalWatch struct {
	loop *Loop
	each func(os.Signal, error)
	in   chan os.Signal
	quit chan struct{} // closed when the watch is over
	gone chan struct{} // closed when its goroutine is

	life op.Op // under way as long as the watch
	call op.Op // the callback that is due

	mu      sync.Mutex
	ticket  op.Ticket // of life
	pending []os.Signal
	due     bool // call is under way
	stopped bool
}

// lifetime is how long a watch goes without asking whether the loop is still there.
const lifetime = 24 * time.Hour

// Signals runs each on the loop for each of the signals that the process gets
// (signal(7)), of which there must be one at least. The last call has an error and no
// signal: op.ErrCanceled after Stop, ErrClosed when the loop closes.
//
// Package os/signal is behind it, whose rules hold: the signals don't have their
// default effect meanwhile; SIGKILL and SIGSTOP can't be caught; whoever else has
// asked for the same signals gets them, too. As the kernel does, it joins signals of
// one kind: however many come before the callback has run, it runs once. So what waits
// has a bound, and a busy loop holds nothing up. Any goroutine may call it.
func (l *Loop) Signals(each func(os.Signal, error), sigs ...os.Signal) (*SignalWatch, error) {
	if each == nil || len(sigs) == 0 {
		panic("proactor: Signals without a callback, or without signals")
	}
	w := &SignalWatch{loop: l, each: each, in: make(chan os.Signal, len(sigs)+16), quit: make(chan struct{}), gone: make(chan struct{})}
	w.life.Done, w.call.Done = w.over, func(*op.Op) { w.deliver() }
	signal.Notify(w.in, sigs...)
	go w.listen()
	if err := w.live(); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

func (w *SignalWatch) live() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return op.ErrCanceled
	}
	w.ticket, err = w.loop.Submit(w.life.Timeout(lifetime))
	return err
}

// Stop ends the watch; the last callback says so, behind those of signals that have
// come. Any goroutine may call it, each's own included.
func (w *SignalWatch) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.loop.Cancel(w.ticket)
}

// listen takes signals from package os/signal, which drops them if nobody does.
func (w *SignalWatch) listen() {
	defer close(w.gone)
	for {
		select {
		case s := <-w.in:
			w.caught(s)
		case <-w.quit:
			for len(w.in) > 0 { // nobody adds to it any more
				w.caught(<-w.in)
			}
			return
		}
	}
}

func (w *SignalWatch) caught(s os.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.pending, s) {
		w.pending = append(w.pending, s)
	}
	if !w.due { // a loop that closes has its last callback for what is pending
		_, err := w.loop.Submit(w.call.Nop())
		w.due = err == nil
	}
}

// deliver runs the callbacks of what has come.
func (w *SignalWatch) deliver() {
	w.mu.Lock()
	sigs := w.pending
	w.pending, w.due = nil, false
	w.mu.Unlock()
	for _, s := range sigs {
		w.loop.names(w.each)
		w.each(s, nil)
	}
}

// over ends the watch, if its loop or Stop says so.
func (w *SignalWatch) over(o *op.Op) {
	_, err := o.Result()
	if err == nil {
		err = w.live()
	}
	if err == nil {
		return
	}
	w.end()
	w.deliver()
	w.loop.names(w.each)
	w.each(nil, err)
}

// end stops catching.
func (w *SignalWatch) end() {
	signal.Stop(w.in)
	close(w.quit)
	<-w.gone // it never waits for the loop
}
