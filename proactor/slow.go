package proactor

import (
	"reflect"
	"runtime"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// SlowCallback is a callback that has held its loop for longer than WithSlowCallback
// allows: meanwhile nothing else of the loop has run.
type SlowCallback struct {
	Func string        // its name, with the package
	Code op.Code       // of the operation, op.None for a posted function
	FD   int           // of the operation's handle, -1 without one
	Took time.Duration // by the clock, so a busy machine counts
}

// WithSlowCallback has report called, on the loop, for each callback that took longer
// than d: to find what blocks. It costs two looks at the clock for each callback.
func WithSlowCallback(d time.Duration, report func(SlowCallback)) Option {
	return func(o *options) { o.slow, o.slowFunc = max(d, 1), report }
}

// timedCallback runs the callback of an operation.
func (l *Loop) timedCallback(o *op.Op) {
	s := SlowCallback{Code: o.Code(), FD: -1}
	if h := o.Req().Handle; h != nil {
		s.FD = h.FD()
	}
	f := o.Done // the operation is its owner's from here on
	l.timed(s, f, func() { f(o) })
}

// runPost runs a posted function.
func (l *Loop) runPost(f func()) {
	if l.opts.slow == 0 {
		f()
	} else {
		l.timed(SlowCallback{FD: -1}, f, f)
	}
}

func (l *Loop) timed(s SlowCallback, name any, f func()) {
	l.inner = name
	begin := time.Now()
	f()
	if s.Took = time.Since(begin); s.Took > l.opts.slow {
		if p := runtime.FuncForPC(reflect.ValueOf(l.inner).Pointer()); p != nil {
			s.Func = p.Name()
		}
		l.opts.slowFunc(s)
	}
	l.inner = nil
}

// named returns a function of RecvEach that tells its own name. A connection's
// receiver has no room for its loop.
func (l *Loop) named(each func(*op.Buffer, error)) func(*op.Buffer, error) {
	if l.opts.slow == 0 {
		return each
	}
	return func(b *op.Buffer, err error) {
		l.names(each)
		each(b, err)
	}
}

// names tells whose function the callback that runs is about to call.
func (l *Loop) names(f any) {
	if l.opts.slow != 0 && f != nil {
		l.inner = f
	}
}
