package op

import (
	"encoding/binary"
	"time"
	"unsafe"
)

// ByTime reports whether no event tells when to try r again after EAGAIN: a connect to
// a unix socket whose backlog is full, a message to one whose queue is, from a
// socket that isn't connected to it, and more than one to an eventfd that has room for
// one, so that it is writable.
func (r *Req) ByTime() bool {
	h := &r.Handle.s
	return r.Code == Connect || h.Counter && r.Code == Send && r.N == 8 && binary.NativeEndian.Uint64(unsafe.Slice((*byte)(r.Ptr), 8)) > 1 || h.Unix && h.Kind == Packet && !h.Connected && r.Code.Info().Write
}

// Retries are operations that no event tells when to try again; see ByTime. They are
// tried by time.
type Retries struct {
	ops  []*Op
	next int64 // when they are tried, on the clock of Now
}

// retryEvery is the time between two tries.
const retryEvery = 2 * time.Millisecond

// Add lets o wait for the next try.
func (r *Retries) Add(o *Op) {
	if len(r.ops) == 0 {
		r.next = Now() + int64(retryEvery)
	}
	r.ops = append(r.ops, o)
}

// Drop takes o out. It reports whether it was in.
func (r *Retries) Drop(o *Op) bool {
	for i, x := range r.ops {
		if x == o {
			r.ops = append(r.ops[:i], r.ops[i+1:]...)
			return true
		}
	}
	return false
}

// Due takes all out if their time has come.
func (r *Retries) Due() []*Op {
	if len(r.ops) == 0 || Now() < r.next {
		return nil
	}
	due := r.ops
	r.ops = nil
	return due
}

// Limit shortens a wait to the time of the next try.
func (r *Retries) Limit(d time.Duration) time.Duration {
	if len(r.ops) == 0 {
		return d
	}
	left := max(time.Duration(r.next-Now()), 0)
	if d < 0 || left < d {
		return left
	}
	return d
}
