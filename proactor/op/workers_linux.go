package op

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Workers is a bounded pool of goroutines that execute operations as blocking
// system calls. The operations wait in line, however many: they are their
// callers' memory, the pool's own is a slot for each in its queue.
type Workers struct {
	max   int
	wake  func()       // tells the loop that an operation is finished
	ready atomic.Int32 // how many are finished, to look without the lock
	alone bool         // the last job that Start got, a system call, is the only one: Alone

	mu       sync.Mutex
	work     sync.Cond
	jobs     []*Op  // jobs[i] has number first+i; nil: taken back
	head     int    // the jobs before it are taken
	first    uint32 // the number of jobs[0]
	queued   int    // jobs that are not nil
	left     int    // jobs that aren't finished, those that a worker has included
	alive    int
	idle     int
	finished []Completion
	closed   bool
	gone     sync.WaitGroup
}

// NewWorkers returns a pool of at most n goroutines, started as they are needed.
// Wake is called, on a worker, whenever Finished has something new.
func NewWorkers(n int, wake func()) *Workers {
	w := &Workers{max: max(n, 1), wake: wake}
	w.work.L = &w.mu
	return w
}

// Start queues o.
func (w *Workers) Start(o *Op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left++
	w.alone = w.left == 1 && o.req.Code != Work
	o.req.Slot = w.first + uint32(len(w.jobs))
	w.jobs = append(w.jobs, o)
	w.queued++
	switch {
	case w.idle >= w.queued:
		w.work.Signal()
	case w.alive < w.max:
		w.alive++
		w.gone.Add(1)
		go w.run()
	case w.idle > 0:
		w.work.Signal()
	}
}

// Alone reports whether, since it was last asked, a system call has been given to the
// workers that is the only thing they have to do. It is for the goroutine that calls
// Start.
func (w *Workers) Alone() bool {
	if !w.alone {
		return false
	}
	w.alone = false
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left > 0 // it may have been taken back, or be finished
}

// Cancel takes o back if no worker has begun it: it is then finished, with
// ECANCELED. A system call that is running can't be interrupted.
func (w *Workers) Cancel(o *Op) {
	w.mu.Lock()
	i := int(int32(o.req.Slot - w.first))
	if i < 0 || i >= len(w.jobs) || w.jobs[i] != o {
		w.mu.Unlock()
		return
	}
	w.jobs[i] = nil
	w.queued--
	w.mu.Unlock()
	w.finish(o, -int32(unix.ECANCELED))
}

func (w *Workers) finish(o *Op, ret int32) {
	w.mu.Lock()
	w.left--
	w.finished = append(w.finished, Completion{Op: o, Ret: ret})
	w.ready.Add(1)
	first := len(w.finished) == 1
	w.mu.Unlock()
	if first {
		w.wake()
	}
}

// Finished appends the finished operations to done.
func (w *Workers) Finished(done []Completion) []Completion {
	if w.ready.Load() == 0 {
		return done
	}
	w.mu.Lock()
	w.ready.Store(0)
	done = append(done, w.finished...)
	clear(w.finished)
	w.finished = w.finished[:0]
	w.mu.Unlock()
	return done
}

// Count returns how many operations wait for a worker and how many workers live.
func (w *Workers) Count() (queued, alive int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued, w.alive
}

// Close ends the workers and waits for them. Nothing may be queued.
func (w *Workers) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.work.Broadcast()
	w.gone.Wait()
}

func (w *Workers) run() {
	defer w.gone.Done()
	var s Scratch
	for o := w.take(); o != nil; o = w.take() {
		w.finish(o, w.execute(o, &s))
	}
}

// execute makes the call. A stream that says EAGAIN although a worker may wait
// (a non-blocking descriptor that epoll refused) is polled.
func (w *Workers) execute(o *Op, s *Scratch) int32 {
	for {
		ret := Attempt(o, s, true)
		if ret != EAGAIN || o.req.Code.Info().Way != ByReadiness {
			return ret
		}
		events := int16(unix.POLLIN)
		if o.req.Code.Info().Write {
			events = unix.POLLOUT
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: o.req.Handle.s.FD, Events: events}}, -1)
	}
}

// take waits for a job; nil ends the worker.
func (w *Workers) take() *Op {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if o := w.pop(); o != nil {
			return o
		}
		if w.closed {
			w.alive--
			return nil
		}
		w.idle++
		w.work.Wait()
		w.idle--
	}
}

// pop takes the oldest job; nil if there is none.
func (w *Workers) pop() (o *Op) {
	for o == nil && w.head < len(w.jobs) {
		o, w.jobs[w.head] = w.jobs[w.head], nil
		w.head++
	}
	if w.head == len(w.jobs) {
		w.first += uint32(w.head)
		w.jobs, w.head = w.jobs[:0], 0
	} else if w.head > 1024 && w.head > len(w.jobs)/2 {
		w.first += uint32(w.head)
		n := copy(w.jobs, w.jobs[w.head:])
		clear(w.jobs[n:])
		w.jobs, w.head = w.jobs[:n], 0
	}
	if o != nil {
		w.queued--
	}
	return o
}
