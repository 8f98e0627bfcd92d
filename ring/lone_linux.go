package ring

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// loneWrite is about a write to a file, or a sync, while no other file is worked on.
type loneWrite struct {
	some  bool  // what was started last is one
	notBy int64 // it isn't hastened before then
}

// A worker of the kernel has the processor until the disk has the write, some 20 us. If the
// loop comes back later than longBegin, others that compute were in its way, and for
// notBegin it doesn't step aside.
const (
	longBegin = int64(time.Millisecond)
	notBegin  = int64(100 * time.Millisecond)
)

// LetBegin submits a lone write, if more is to come behind it in this turn, and steps
// aside for the worker that takes it, which may have no other processor than the loop's.
// It would otherwise be submitted with all else, and begun when that is done and the loop
// waits, while the disk stands still. Reads are not hastened: what is cached is copied by
// the submission, and a disk needs no worker for them.
func (e *Engine) LetBegin(more bool) bool {
	some := e.lone.some
	e.lone.some = false
	if !more || !some {
		return false
	}
	if op.Now() < e.lone.notBy || e.enterNow() != nil {
		return false
	}
	before := op.Now()
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	if now := op.Now(); now-before > longBegin {
		e.lone.notBy = now + notBegin
	}
	return false
}
