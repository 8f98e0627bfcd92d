package fallback

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// Engine is the epoll engine of one loop: an op.Engine.
type Engine struct {
	ep      int
	precise bool // epoll_pwait2 is there (5.11): waits in ns, not ms
	events  []unix.EpollEvent
	watched watched
	waker   op.Waker
	parker  op.Parker // if waits take place in Go's netpoller
	seen    struct {  // by the parker's last look
		n     uintptr
		errno syscall.Errno
	}
	workers  *op.Workers
	aio      aio
	scratch  op.Scratch
	retries  op.Retries
	pool     *op.Pool
	done     []op.Completion
	inFlight int
	unseen   int // completions since the last look, of calls made at once
	counters op.Counters
	limit    timespec // of a wait; here, so that it is on the heap
}

// timespec is struct __kernel_timespec: 64 bits everywhere.
type timespec struct{ sec, nsec int64 }

var (
	_ op.Engine    = (*Engine)(nil)
	_ op.Delegator = (*Engine)(nil)
)

// wakeIndex is the waker's place among the events.
const wakeIndex = -1

// New makes an engine.
func New(o Options) (*Engine, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	e := &Engine{ep: ep, events: make([]unix.EpollEvent, events(o))}
	if err := e.waker.Open(); err != nil {
		_ = unix.Close(ep)
		return nil, err
	}
	// Edge-triggered: each write of the eventfd is an edge, nobody needs to read it.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeIndex}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, e.waker.FD(), &ev); err != nil {
		e.waker.Close()
		_ = unix.Close(ep)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	_, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(&e.events[0])), 1, uintptr(unsafe.Pointer(&e.limit)), 0, 0)
	e.precise = errno == 0
	if o.Park {
		e.waker.Use(&e.parker)
		if err := e.parker.Open(ep, e.ready); err != nil {
			e.waker.Close()
			_ = unix.Close(ep)
			return nil, err
		}
	}
	e.workers = op.NewWorkers(o.Workers, e.waker.Wake)
	e.aio.off = o.NoAIO
	return e, nil
}

// events is how many events one wait returns at most. Each is an attempt of some
// us, and the neighbours of the loop wait for the whole batch: a goroutine that
// sleeps 1 ms beside 1000 busy connections woke 1.9 ms late with 1024, 0.2 ms
// with 32, at the same cost.
func events(o Options) int {
	if o.Events <= 0 || o.Events > 32 {
		return 32
	}
	return o.Events
}

// Name returns "epoll".
func (e *Engine) Name() string { return "epoll" }

// Supports returns nil if c can be emulated, as nearly all of the table can.
func (e *Engine) Supports(c op.Code) error { return c.Unsupported() }

// Enter does nothing.
func (e *Engine) Enter() error { return nil }

// Parked reports whether waits take place in Go's netpoller.
func (e *Engine) Parked() bool { return e.parker.On() }

// Bound returns false: epoll belongs to no thread.
func (e *Engine) Bound() bool { return false }

// InFlight returns how many operations were started and not returned.
func (e *Engine) InFlight() int { return e.inFlight }

// Use receives into the buffers of p from now on.
func (e *Engine) Use(p *op.Pool) { e.pool = p }

// Refill does nothing: buffers are taken from the pool one by one.
func (e *Engine) Refill() {}

// Register does nothing: a system call looks its memory up each time.
func (e *Engine) Register([]byte) {}

// Available returns how many buffers can be received into.
func (e *Engine) Available() int {
	if e.pool == nil {
		return 0
	}
	return e.pool.Free()
}

// Wake ends a wait.
func (e *Engine) Wake() { e.waker.Wake() }

// Counters returns the statistics.
func (e *Engine) Counters() op.Counters {
	c := e.counters
	c.JobsQueued, c.Workers = e.workers.Count()
	return c
}

// Close releases the engine.
func (e *Engine) Close() error {
	e.workers.Close()
	e.aio.close()
	e.waker.Close()
	e.parker.Close()
	return os.NewSyscallError("close", unix.Close(e.ep))
}

// Start begins one attempt at o.
func (e *Engine) Start(o *op.Op) {
	e.counters.Starts++
	e.inFlight++
	r := o.Req()
	r.Slot = trying // whatever its last use has left there
	switch way := r.Code.Info().Way; {
	case way == op.ByReadiness:
		e.begin(o)
	case way == op.Inline, way == op.ByRing, r.Code == op.Close && !r.Handle.State().Kind.IsFile():
		e.finish(o, op.Attempt(o, &e.scratch, false))
	case r.AtOnce():
		e.finish(o, op.Attempt(o, &e.scratch, false))
	case !e.direct(o) && !e.cached(o):
		e.delegate(o)
	}
}

// cached serves a read from the page cache, or an open from the cache of names, if it
// can; a hand-over to a worker would cost many times as much. Not a read with O_DIRECT,
// which would wait for the disk.
func (e *Engine) cached(o *op.Op) bool {
	r := o.Req()
	switch r.Code {
	case op.ReadAt, op.ReadvAt:
	case op.OpenAt2:
		return e.openCached(o)
	default:
		return false
	}
	s := r.Handle.State()
	if s.Kind != op.File || s.Bits&op.NoWait != 0 {
		return false
	}
	switch ret := op.ReadCached(o, &e.scratch); ret {
	case op.EAGAIN:
		return false
	case -int32(unix.EOPNOTSUPP), -int32(unix.ENOSYS), -int32(unix.EINVAL):
		s.Bits |= op.NoWait // the file system can't tell what is cached
		return false
	default:
		e.finish(o, ret)
		return true
	}
}

// openCached opens a file without O_NONBLOCK on a worker, as FIFOs have to wait. A kernel
// that doesn't know of the cache says what it says of a wrong argument: a worker tells.
func (e *Engine) openCached(o *op.Op) bool {
	if o.Req().Args().How.Flags&unix.O_NONBLOCK == 0 {
		return false
	}
	switch ret := op.OpenCached(o); ret {
	case op.EAGAIN, -int32(unix.EINVAL), -int32(unix.EINTR):
		return false
	default:
		e.finish(o, ret)
		return true
	}
}

func (e *Engine) finish(o *op.Op, ret int32) {
	e.done = append(e.done, op.Completion{Op: o, Ret: ret})
}

// Cancel asks a started operation to come back early. A worker's system call
// that is running can't be interrupted.
func (e *Engine) Cancel(o *op.Op) {
	r := o.Req()
	s := r.Handle
	if r.Code.Info().Way != op.ByReadiness || s.State().Bits&op.Refused != 0 || s.State().Kind.IsFile() && r.Code != op.Poll || r.Away() {
		e.cancelDirect(o)
		e.workers.Cancel(o)
		return
	}
	switch r.Slot {
	case retrying:
		e.retries.Drop(o)
		fallthrough
	case waiting, connecting:
		r.Slot = trying
		e.finish(o, -int32(unix.ECANCELED))
	}
}

// LetBegin submits what a disk can begin with, and reports whether, since it was last
// asked, the workers have been given a system call that is the only thing they have to do:
// they are goroutines.
func (e *Engine) LetBegin(bool) bool {
	e.submitDirect()
	e.collectDirect() // what the kernel has refused: a worker's
	return e.workers.Alone()
}

// Soon returns false: files are the workers'.
func (e *Engine) Soon() bool { return false }

// unseenMax is how many completions of calls that were made at once go by before the next
// look. In turns of one operation, as streams that are spliced have them, a look each was
// 6 % of the CPU time.
const unseenMax = 16

// Poll looks for events without waiting, unless there is enough to do.
func (e *Engine) Poll(done []op.Completion) ([]op.Completion, error) {
	e.submitDirect()
	if e.unseen += len(e.done); len(e.done) > 0 && e.unseen <= unseenMax {
		return e.collect(0, 0, done)
	}
	e.unseen = 0
	e.counters.Enters++
	n, _, errno := e.look()
	return e.collect(n, errno, done)
}

// look asks for events without waiting, hidden from the Go scheduler.
func (e *Engine) look() (n, _ uintptr, errno syscall.Errno) {
	return syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.ep), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), 0, 0, 0)
}

// Wait waits for an event.
func (e *Engine) Wait(d, _ time.Duration, done []op.Completion) ([]op.Completion, error) {
	e.submitDirect()
	d = e.retries.Limit(d)
	if e.Parked() {
		e.parker.Limit(d)
	}
	var n uintptr
	var errno syscall.Errno
	var err error
	if e.waker.Arm() && len(e.done) == 0 {
		e.counters.Enters++
		e.counters.Waits++
		n, errno, err = e.wait(d)
	}
	e.waker.Disarm()
	if err != nil {
		return done, err
	}
	return e.collect(n, errno, done)
}

// ready looks for events on behalf of the parker.
func (e *Engine) ready() bool {
	e.seen.n, _, e.seen.errno = e.look()
	return e.seen.n > 0
}

func (e *Engine) wait(d time.Duration) (n uintptr, errno syscall.Errno, err error) {
	if e.Parked() {
		e.seen.n, e.seen.errno = 0, 0
		err = e.parker.Park()
		return e.seen.n, e.seen.errno, err
	}
	first, room := uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events))
	if e.precise && d >= 0 {
		e.limit = timespec{int64(d) / 1e9, int64(d) % 1e9}
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.ep), first, room, uintptr(unsafe.Pointer(&e.limit)), 0, 0)
		return n, errno, nil
	}
	ms := int64(-1)
	if d >= 0 {
		ms = min((int64(d)+int64(time.Millisecond)-1)/int64(time.Millisecond), 1<<30) // never early
	}
	n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.ep), first, room, uintptr(ms), 0, 0)
	return n, errno, nil
}

// collect handles n events and returns what is finished.
func (e *Engine) collect(n uintptr, errno syscall.Errno, done []op.Completion) ([]op.Completion, error) {
	var err error
	switch errno {
	case 0:
		for i := range e.events[:n] {
			ev := &e.events[i]
			if h := e.watched.find(uint32(ev.Fd), uint32(ev.Pad)); h != nil {
				e.event(h, ev.Events)
			}
		}
	case unix.EINTR:
	default:
		err = fmt.Errorf("epoll_wait: %w", errno)
	}
	for _, o := range e.retries.Due() {
		o.Req().Slot = trying
		e.try(o)
	}
	e.collectDirect()
	had := len(done)
	done = append(done, e.done...)
	clear(e.done)
	e.done = e.done[:0]
	done = e.workers.Finished(done)
	e.inFlight -= len(done) - had
	return done, err
}
