package op

import (
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Waker ends an engine's wait from any goroutine: an eventfd(2) that is written
// only when the engine really waits. A wake-up that finds it awake is
// remembered for its next wait.
type Waker struct {
	woken   atomic.Bool
	waiting atomic.Bool

	mu     sync.Mutex // keeps a late Wake off a descriptor number that is closed
	fd     int
	parker *Parker // waits instead of a thread
}

// Open makes the eventfd.
func (w *Waker) Open() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	w.fd = fd
	return nil
}

// Use has wake-ups end the parker's waits: the eventfd is for nothing then.
func (w *Waker) Use(p *Parker) { w.parker = p }

// FD returns the eventfd, to be watched.
func (w *Waker) FD() int { return w.fd }

// Arm announces a wait. It reports whether the engine may go to sleep: not if
// Wake was called since the last wait.
func (w *Waker) Arm() bool {
	w.waiting.Store(true)
	return !w.woken.Load()
}

// Disarm announces that the wait is over.
func (w *Waker) Disarm() {
	w.waiting.Store(false)
	w.woken.Store(false)
}

// Wake ends the wait under way, or else the next one.
func (w *Waker) Wake() {
	if w.woken.Swap(true) || !w.waiting.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fd < 0:
	case w.parker != nil:
		w.parker.Wake()
	default:
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(w.fd, one[:])
	}
}

// Drain resets the eventfd, so that its readiness is the next wake-up's.
func (w *Waker) Drain() {
	var b [8]byte
	call(false, unix.SYS_READ, uintptr(w.fd), uintptr(unsafe.Pointer(&b)), 8, 0, 0, 0)
}

// Close closes the eventfd; a Wake after that does nothing.
func (w *Waker) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	CloseFD(w.fd)
	w.fd = -1
}
