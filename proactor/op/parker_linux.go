package op

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Parker has an engine's goroutine wait for its descriptor (a ring, an epoll
// instance) in Go's own netpoller: no thread is blocked, and goroutines that the
// loop wakes run at once and where it ran. The zero Parker is none.
type Parker struct {
	file  *os.File // a duplicate
	raw   syscall.RawConn
	ready func(uintptr) bool
	timed bool // the last wait had a deadline, or was ended by one
}

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// Open has waits watch fd. Ready looks, without waiting, whether there is something.
func (p *Parker) Open(fd int, ready func() bool) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(dup, true); err != nil { // else package os doesn't poll it
		_ = unix.Close(dup)
		return os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(dup), "engine")
	raw, err := f.SyscallConn()
	if err == nil {
		err = f.SetReadDeadline(time.Time{}) // refused if the netpoller doesn't take it
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("wait in the netpoller: %w", err)
	}
	p.file, p.raw = f, raw
	p.ready = func(uintptr) bool { return ready() } // once: each would be an allocation
	return nil
}

// On reports whether there is one.
func (p *Parker) On() bool { return p.file != nil }

// Limit sets how long the coming Park may wait; negative is for ever. It takes back
// a Wake, so it comes before the look whether there was one.
func (p *Parker) Limit(d time.Duration) {
	switch {
	case d >= 0:
		_ = p.file.SetReadDeadline(time.Now().Add(d))
		p.timed = true
	case p.timed:
		_ = p.file.SetReadDeadline(time.Time{})
		p.timed = false
	}
}

// Park waits until ready says so, or until Wake or the limit of time. Ready is called
// first at once, and then whenever the descriptor has become readable.
func (p *Parker) Park() error {
	err := p.raw.Read(p.ready)
	if err != nil {
		p.timed = true
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
	}
	return err
}

// Wake ends the Park under way. It costs no system call. Any goroutine.
func (p *Parker) Wake() { _ = p.file.SetReadDeadline(longAgo) }

// Close releases it.
func (p *Parker) Close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}
