package fallback

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// watched is the table of registered handles. Epoll gets an index and a
// generation, never the descriptor's number or a pointer: an event that is
// still under way when its handle is closed finds the generation changed, also
// when the number is in use again.
type watched struct {
	all  op.Table[place]
	free []uint32
}

type place struct {
	h   *op.Handle
	gen uint32
}

// mask is what epoll watches each descriptor for.
const mask = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET

func (w *watched) add(h *op.Handle) (i, gen uint32) {
	if n := len(w.free); n > 0 {
		i = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		i = w.all.Add()
	}
	p := w.all.At(i)
	p.h = h
	h.State().Slot = i
	return i, p.gen
}

func (w *watched) remove(i uint32) {
	p := w.all.At(i)
	*p = place{gen: p.gen + 1}
	w.free = append(w.free, i)
}

// find returns the handle that an event names, nil if it is gone.
func (w *watched) find(i, gen uint32) *op.Handle {
	if i < w.all.Len() && w.all.At(i).gen == gen {
		return w.all.At(i).h
	}
	return nil
}

// watch registers a handle, once. Epoll then reports its present readiness as a
// first edge, so nothing is missed between a try and its registration. It
// returns 0 or a negative errno; EPERM marks a descriptor without readiness.
func (e *Engine) watch(h *op.Handle) int32 {
	s := h.State()
	if s.Bits&op.Registered != 0 {
		return 0
	}
	i, gen := e.watched.add(h)
	ev := unix.EpollEvent{Events: mask, Fd: int32(i), Pad: int32(gen)}
	e.counters.Watches++
	if err := unix.EpollCtl(e.ep, unix.EPOLL_CTL_ADD, int(s.FD), &ev); err != nil {
		e.watched.remove(i)
		if err == unix.EPERM {
			s.Bits |= op.Refused
		}
		return -int32(err.(unix.Errno))
	}
	s.Bits |= op.Registered
	return 0
}

// Forget takes a handle out of epoll before its close: the close alone would
// not, if the descriptor has been duplicated.
func (e *Engine) Forget(h *op.Handle) {
	s := h.State()
	if s.Bits&op.Registered == 0 {
		return
	}
	e.counters.Watches++
	_ = unix.EpollCtl(e.ep, unix.EPOLL_CTL_DEL, int(s.FD), nil)
	s.Bits &^= op.Registered
	e.watched.remove(s.Slot)
}
