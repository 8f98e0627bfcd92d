package ring

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// quiet finds multishot receives that have missed the end of their stream. A reset that
// comes while the kernel takes data for such a receive can be lost: the two wake-ups count
// as one, and the receive then waits for ever, with the error in the socket (seen on
// 6.18: one of 3000 resets right behind data). So the descriptors of receives that brought
// something, and then nothing for a while, are looked at once by poll(2); a new attempt
// finds what there is. It costs a receive that goes on nothing but its place in the list.
type quiet struct {
	list []uint64 // user data of receives that have brought something; those that ended may be among them
	due  int64    // when the next look is, on op.Now's clock; 0 if the list is empty
	fds  []unix.PollFd
	uds  []uint64
}

// quietFor is the time between two looks: a missed end shows at most twice as late.
const quietFor = 100 * time.Millisecond

// heardOf notes that a multishot receive, which goes on, has brought something.
func (e *Engine) heardOf(i uint32) {
	s := e.slots.all.At(i)
	s.fresh = true
	if s.listed {
		return
	}
	s.listed = true
	q := &e.quiet
	if len(q.list) == 0 {
		q.due = op.Now() + int64(quietFor)
	}
	q.list = append(q.list, e.slots.userData(i))
}

// limit shortens a wait so that the look is in time.
func (q *quiet) limit(d time.Duration) time.Duration {
	if len(q.list) == 0 {
		return d
	}
	left := time.Duration(max(q.due-op.Now(), 0))
	if d < 0 || left < d {
		return left
	}
	return d
}

// look looks at the receives that have become quiet, if it is time.
func (e *Engine) look() {
	q := &e.quiet
	if len(q.list) == 0 {
		return
	}
	now := op.Now()
	if now < q.due {
		return
	}
	q.due = now + int64(quietFor)
	kept := q.list[:0]
	for _, ud := range q.list {
		s, _ := e.slots.find(ud)
		switch {
		case s == nil:
		case s.fresh:
			s.fresh = false
			kept = append(kept, ud)
		default:
			s.listed = false
			q.fds = append(q.fds, unix.PollFd{Fd: s.o.Req().Handle.State().FD, Events: unix.POLLRDHUP})
			q.uds = append(q.uds, ud)
		}
	}
	q.list = kept
	e.askQuiet()
}

// askQuiet asks for the ends that were missed, a few descriptors at a time: RLIMIT_NOFILE
// bounds how many poll(2) takes.
func (e *Engine) askQuiet() {
	q := &e.quiet
	for fds, uds := q.fds, q.uds; len(fds) > 0; {
		n := min(len(fds), 32)
		if some, _ := unix.Ppoll(fds[:n], &unix.Timespec{}, nil); some > 0 {
			for i, f := range fds[:n] {
				if f.Revents != 0 {
					e.cancels = append(e.cancels, uds[i]) // and the loop begins anew
				}
			}
		}
		fds, uds = fds[n:], uds[n:]
	}
	q.fds, q.uds = q.fds[:0], q.uds[:0]
}
