package op

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"
)

// Op is one operation. Its owner keeps it, usually by value inside a struct of
// its own, sets Done once, prepares it with a verb (Recv, Send, ReadAt, ...)
// and submits it; after its final callback it can be prepared and submitted
// again. From Submit until the final callback the Op and the memory it names
// belong to the loop and must not be touched, copied or freed (rule 4).
//
// The zero Op is ready to be prepared. An Op must not be copied once submitted.
type Op struct {
	// Done is the completion callback. It runs on the loop's goroutine, exactly
	// once for each accepted submission. The operation is the caller's again
	// when it starts, so it may submit it anew. It must be set before Submit
	// and not change until the final callback.
	Done func(*Op)

	req Req
}

// Req is what an operation asks for and how far it has come. It is the side of
// an Op that loops and engines work on; callers use the verbs and Result.
type Req struct {
	// Next and Prev link the Op in the one list it is in.
	Next, Prev *Op
	Handle     *Handle
	// Ptr and N are the memory: bytes, or slices if the code is vectored; a
	// *Sockaddr for connect; a path for openat; a target *Op for cancel.
	Ptr unsafe.Pointer
	N   int
	// Off is the file offset, or what else the code needs: poll events, the
	// duration of a timeout in ns, open flags | mode<<32, how to shut down.
	Off int64
	// Moved is how many bytes have moved, or the final result.
	Moved int
	// When is the deadline on the clock of Now, in ns; 0 is none.
	When int64
	// State is the generation and the busy and cancel bits.
	state atomic.Uint64
	// Buf is the Buffer of a completion until the callback has taken it, or the
	// one that a send releases.
	Buf *Buffer
	// Slot is for the engine, from Start until it returns the Op.
	Slot uint32
	// Timer is the loop's: its place among the deadlines plus one, 0 if none.
	Timer int32
	// Ret is, once the operation is finished, 0, a negative errno or a negative
	// Status.
	Ret   int32
	Code  Code
	Phase Phase
	Why   Why
	Flags Flags
}

// Phase is where an operation stands. Only the loop's goroutine uses it.
type Phase uint8

// The phases.
const (
	Idle      Phase = iota // the caller's, or in the inbox
	Waiting                // in line behind others, or on a timer
	Started                // with the engine
	Riding                 // with the engine, as part of the send at the head of its line
	Resting                // a multishot between two attempts: paused, throttled, or starved
	Notifying              // a zero-copy send whose data has gone, and whose memory the kernel still needs
	Finished               // its callback is due
)

// Why is the reason for which the loop asked an operation to end.
type Why uint8

// The reasons.
const (
	NotAsked   Why = iota
	ByCancel       // Cancel
	ByDeadline     // its deadline
	ByClose        // its handle or its loop is closing
)

// Flags are details of an operation.
type Flags uint8

// The flags.
const (
	// Invalid marks arguments that a verb found wrong: Submit refuses it.
	Invalid Flags = 1 << iota
	// Abortive marks a close that doesn't flush; any other operation, as hardLink, as
	// one of a chain that the next doesn't depend on.
	Abortive
	// Detached marks a close that hands the descriptor over instead.
	Detached
	// More marks a callback that isn't the final one.
	More
	// Paused marks a multishot that its user has stopped for now.
	Paused
	// Throttled marks a receive whose handle has as many Buffers as it may.
	Throttled
	// Starved marks a receive that waits for a Buffer.
	Starved
	// Stopped marks a multishot whose attempt is being cancelled so that it rests.
	Stopped
)

// Req returns the loop's and the engines' side of o.
func (o *Op) Req() *Req { return &o.req }

// Bits of Req.state, below the generation.
const (
	busy     uint64 = 1 << 0 // between Submit and the final callback
	asked    uint64 = 1 << 1 // Cancel was called for this submission
	genShift        = 2
)

// Ticket names one submission of an Op: the Op and its generation. A ticket of
// an earlier submission never reaches a later one. The zero Ticket names none.
type Ticket struct {
	o   *Op
	gen uint64
}

// Op returns the operation that the ticket was given for.
func (t Ticket) Op() *Op { return t.o }

// Asked reports whether the submission has been asked to end.
func (t Ticket) Asked() bool {
	s := t.o.req.state.Load()
	return s>>genShift == t.gen && s&asked != 0
}

// Current reports whether the submission is still under way.
func (t Ticket) Current() bool {
	if t.o == nil {
		return false
	}
	s := t.o.req.state.Load()
	return s>>genShift == t.gen && s&busy != 0
}

// Ask marks the submission as cancelled. It reports whether the submission is
// still under way, and whether this call was the first to ask.
func (t Ticket) Ask() (current, first bool) {
	if t.o == nil {
		return false, false
	}
	for {
		s := t.o.req.state.Load()
		if s>>genShift != t.gen || s&busy == 0 {
			return false, false
		}
		if s&asked != 0 {
			return true, false
		}
		if t.o.req.state.CompareAndSwap(s, s|asked) {
			return true, true
		}
	}
}

// Claim takes the Op from its caller for one submission. It panics if the Op
// is in flight.
func (o *Op) Claim() Ticket {
	s := o.req.state.Load()
	if s&busy != 0 || !o.req.state.CompareAndSwap(s, s|busy) {
		panic("proactor: submit of an Op that is in flight (" + o.req.Code.String() + ")")
	}
	return Ticket{o, s >> genShift}
}

// First returns the ticket of o's first submission.
func (o *Op) First() Ticket { return Ticket{o, 0} }

// Yield gives the Op back to its caller: its tickets are void from here on.
func (o *Op) Yield() {
	s := o.req.state.Load()
	o.req.state.Store((s>>genShift + 1) << genShift)
}

// InFlight reports whether o has been submitted and its final callback has not
// yet begun.
func (o *Op) InFlight() bool { return o.req.state.Load()&busy != 0 }

// Code returns what o was last prepared for.
func (o *Op) Code() Code { return o.req.Code }

// More reports, in a callback, whether the operation goes on: its final callback
// is still to come.
func (o *Op) More() bool { return o.req.Flags&More != 0 }

// Buffer returns, in a callback of RecvEach, the Buffer with what was received:
// from then on it is the caller's. It is nil if there is none, or it was taken.
func (o *Op) Buffer() *Buffer {
	b := o.req.Buf
	o.req.Buf = nil
	return b
}

// Result returns what the operation came to: the bytes moved, the new
// descriptor (accept, openat), or the ready events (poll); and its error.
//
// Bytes can have moved although there is an error: a send or a file operation
// that was cancelled half-way says how far it got. The errors are io.EOF,
// net.ErrClosed, ErrCanceled, os.ErrDeadlineExceeded, ErrTorn, and
// system call errors, which errors.Is compares with syscall.Errno values.
func (o *Op) Result() (int, error) {
	if o.req.Ret == 0 {
		return o.req.Moved, nil
	}
	return o.req.Moved, statusError(o.req.Code, o.req.Ret)
}

const hardLink = Abortive

// Corked marks a Send that leaves with what is behind it: MSG_MORE, send(2).
const Corked = Starved

// HardLink lets what is behind o in a Chain begin whatever o comes to. It is part of
// preparing: call it after the verb. On Close it has no effect. It returns o.
func (o *Op) HardLink() *Op {
	o.mustBeIdle()
	if o.req.Code != Close {
		o.req.Flags |= hardLink
	}
	return o
}

// HardLinked reports whether HardLink was called for what o was last prepared for.
func (o *Op) HardLinked() bool { return o.req.Flags&hardLink != 0 && o.req.Code != Close }

// SetDeadline ends the operation with os.ErrDeadlineExceeded if it has not
// completed at t. It is part of preparing: call it after the verb, before
// Submit. A zero t is no deadline. Timeout, Close and Cancel have none: on them it
// has no effect. It returns o.
func (o *Op) SetDeadline(t time.Time) *Op {
	o.mustBeIdle()
	o.req.When = 0
	if !t.IsZero() {
		o.req.When = max(After(int64(time.Until(t))), 1)
	}
	return o
}

// SetTimeout is SetDeadline for d from now on; for a multishot operation it is
// the longest time between two results. It returns o.
func (o *Op) SetTimeout(d time.Duration) *Op {
	o.mustBeIdle()
	o.req.When = max(After(int64(d)), 1)
	if o.req.Code.Info().Multi {
		o.req.Off = max(int64(d), 1)
	}
	return o
}

var epoch = time.Now()

// Now is the clock of deadlines: monotonic, in ns since the program started.
func Now() int64 { return int64(time.Since(epoch)) + 1 }

// After is the time d ns from now on that clock; as late as there is, if that is later.
func After(d int64) int64 {
	now := Now()
	return now + min(d, math.MaxInt64-now)
}
