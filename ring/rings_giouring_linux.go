//go:build giouring

package ring

import (
	"syscall"
	"time"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
)

// seamFlags are the set-up flags that this implementation can't do: giouring
// fills the index array, which overwrites the ring's header where there is none.
const seamFlags = setupNoSQArray

// rings are the two shared rings on giouring's: see rings_sys_linux.go for what
// each method promises. Only those parts of giouring are used that work: whole
// entries are written here and not by its Prepare methods.
type rings struct {
	g        *giouring.Ring
	features uint32
	sizes    sizes
	fd       int
	arg      getEvents
	ts       timespec
	closed   bool
}

func (r *rings) setup(entries uint32, p *params) error {
	g := giouring.NewRing()
	// Params' fields are not exported; the layout is the kernel's, as params' is.
	if err := g.QueueInitParams(entries, (*giouring.Params)(unsafe.Pointer(p))); err != nil {
		return err
	}
	*r = rings{g: g, fd: g.RingFd()}
	return nil
}

func (r *rings) next() *sqe { return (*sqe)(unsafe.Pointer(r.g.GetSQE())) }

func (r *rings) enterNow() error {
	_, err := r.g.SubmitAndGetEvents()
	return errnoError(err)
}

func (r *rings) enterWait(ns int64) error {
	if r.g.SQReady() > 0 {
		if err := r.enterNow(); err != nil || r.g.CQReady() > 0 {
			return err
		}
	}
	r.arg = getEvents{}
	if ns >= 0 {
		r.ts = timespec{ns / int64(time.Second), ns % int64(time.Second)}
		r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.ts)))
	}
	_, err := r.g.Enter2(0, 1, enterGetEvents|enterExtArg, unsafe.Pointer(&r.arg), int(unsafe.Sizeof(r.arg)))
	return errnoError(err)
}

// enterSoon leaves all waiting to enterWait.
func (r *rings) enterSoon(int, int64) (bool, error) { return false, nil }

func (r *rings) unsubmitted() uint32 { return r.g.SQReady() }

func (r *rings) reap(limit uint32, f func(*cqe)) int {
	n := uint32(0)
	r.g.ForEachCQE(func(c *giouring.CompletionQueueEvent) {
		if n < limit {
			f((*cqe)(unsafe.Pointer(c)))
			n++
		}
	})
	if n > 0 {
		r.g.CQAdvance(n)
	}
	return int(n)
}

func (r *rings) pending() bool { return r.g.SQReady() > 0 }

func (r *rings) ready() bool { return r.g.CQReady() > 0 || r.overflowed() }

func (r *rings) overflowed() bool { return r.g.CQHasOverflow() }

func (r *rings) enable() error {
	_, err := r.g.EnableRings()
	return err
}

// registerSelf does nothing: giouring can register its descriptor, but not free
// its place again.
func (r *rings) registerSelf() bool { return false }

func (r *rings) close() {
	if !r.closed {
		r.closed = true
		r.g.QueueExit()
	}
}

func errnoError(err error) error {
	e, ok := err.(syscall.Errno)
	if !ok {
		return err
	}
	return enterError(e)
}
