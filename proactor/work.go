package proactor

import (
	"runtime/debug"
	"sync/atomic"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Go runs f on one of the loop's workers (WithWorkers), and then done on the loop:
// for what would block a callback, a database call or a long computation. On epoll
// files are the same workers' work, so what takes for ever belongs on a goroutine of
// its own.
//
// When as many as WithMaxWork says wait or run, it returns op.ErrFull; Stats tells
// how many. Cancel takes back what no worker has begun: done gets op.ErrCanceled
// then, and f never runs. A panic in f comes out of Run, as one of done does. Any
// goroutine may call it.
func (l *Loop) Go(f func(), done func(error)) (op.Ticket, error) {
	if f == nil {
		panic("proactor: Go without a function")
	}
	if l.jobs.Add(1) > int64(l.opts.maxWork) {
		l.jobs.Add(-1)
		return op.Ticket{}, op.ErrFull
	}
	w := &working{f: f}
	t, err := l.call(func(o *op.Op) { o.Work(w.run) }, func(err error) {
		l.jobs.Add(-1)
		if p := w.panicked.Load(); p != nil {
			panic(p)
		}
		if done != nil {
			done(err)
		}
	})
	if err != nil {
		l.jobs.Add(-1)
	}
	return t, err
}

// working is a function that a worker runs.
type working struct {
	f        func()
	panicked atomic.Pointer[Panic]
}

func (w *working) run() {
	defer func() {
		if v := recover(); v != nil {
			w.panicked.Store(&Panic{Value: v, Stack: debug.Stack()})
		}
	}()
	w.f()
}
