package op

import "time"

// Engine executes operations for one loop. All methods but Wake are called by
// one goroutine at a time, and from Enter on by the loop's alone.
//
// An engine makes single attempts: order, deadlines, partial transfers, closing
// and callbacks are the loop's. For each Start it returns the Op exactly once,
// in a Completion from a later Poll or Wait; a multishot operation returns in
// any number of completions marked More before that.
//
// Experimental: the interface may change in any release.
type Engine interface {
	// Name is "io_uring" or "epoll".
	Name() string
	// Enter ties the engine to the calling goroutine, which is locked to its
	// thread. It comes before the first Start.
	Enter() error
	// Bound reports whether the engine stays tied to that thread; otherwise the
	// goroutine may come back on another one after it has yielded.
	Bound() bool
	// Start begins one attempt at o. It doesn't fail: errors come back as results.
	Start(o *Op)
	// Use gives the engine the pool to receive into, before the first RecvEach.
	Use(p *Pool)
	// Refill takes up the buffers that are free in the pool.
	Refill()
	// Register makes file operations on the memory cheaper, where it can.
	Register(memory []byte)
	// Available is how many buffers can be received into.
	Available() int
	// Cancel asks a started operation to come back early. One that ends for this
	// reason returns -ECANCELED; one that can't be interrupted, its result.
	Cancel(o *Op)
	// Poll submits what was started and appends what is finished to done,
	// without waiting.
	Poll(done []Completion) ([]Completion, error)
	// Wait is Poll that waits until an operation is finished, Wake was called or
	// d is over; a negative d has no limit. For hold of it the P may be kept.
	Wait(d, hold time.Duration, done []Completion) ([]Completion, error)
	// Soon reports whether something is in flight that ends in a moment, and not
	// when a peer likes.
	Soon() bool
	// Wake ends a Wait, the next one if none is under way. Any goroutine.
	Wake()
	// Forget lets go of a handle without operations, before its close.
	Forget(h *Handle)
	// InFlight is how many operations were started and not yet returned.
	InFlight() int
	// Supports returns nil if the engine can execute c.
	Supports(c Code) error
	// Counters returns the engine's part of the statistics.
	Counters() Counters
	// Close releases the engine. Nothing may be in flight.
	Close() error
}

// PeerWaker is what an Engine may be besides: one that ends the waits of others by
// what it submits. The methods are called as Engine's are.
type PeerWaker interface {
	// WakePeer is to.Wake with the next submission. It reports false, and does
	// nothing, if that can't be.
	WakePeer(to Engine) bool
	// FlushPeers submits what WakePeer has left to do, if it has; the last time it
	// wakes by Wake, and there is no more WakePeer after that.
	FlushPeers(last bool)
}

// Delegator is what an Engine may be besides: one whose operations on files are executed
// by others than the loop, goroutines or threads of the kernel. Its method is called as
// Engine's are, where all have one processor.
type Delegator interface {
	// LetBegin lets such an operation begin that was just started, and is the only one
	// that they have to do. More says that the loop has more to do before it waits. The
	// result is whether the loop's goroutine has to yield for that.
	LetBegin(more bool) bool
}

// Completion is the end of an attempt, or with More one of the results that a
// multishot attempt has before its end.
type Completion struct {
	Op   *Op
	Buf  *Buffer // what RecvEach received into, already filled
	Ret  int32   // a count, a descriptor, or a negative errno
	More bool
}

// Counters are an engine's statistics, counted since it was made.
type Counters struct {
	Enters     uint64 // system calls that submit or wait: io_uring_enter, epoll_wait, io_submit
	Waits      uint64 // those of them that were allowed to block
	Starts     uint64 // attempts begun
	Emulated   uint64 // attempts that went the fallback's way on a ring
	Overflows  uint64 // times the completion queue had overflowed
	ZeroCopies uint64 // sends that the kernel was asked not to copy
	QueueFull  uint64 // attempts that waited in line for a submission entry
	Watches    uint64 // epoll_ctl calls
	Jobs       uint64 // attempts given to the workers
	JobsQueued int    // of them waiting for a worker now
	Workers    int    // workers alive now
}
