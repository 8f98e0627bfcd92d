package op

import "sync/atomic"

// Handle is a descriptor that a loop looks after: raw operations name a Handle,
// never a bare number, because order, readiness, closing and recycled numbers
// all need state for each descriptor. A Handle belongs to one loop.
type Handle struct{ s HandleState }

func (h *Handle) target() *Handle { return h }

// FD returns the descriptor's number, for socket options and the like. It is
// valid until the handle is closed, and negative after that.
func (h *Handle) FD() int { return int(atomic.LoadInt32(&h.s.FD)) }

// State returns the loop's and the engines' side of h.
func (h *Handle) State() *HandleState { return &h.s }

// HandleState is the side of a Handle that loops and engines work on.
type HandleState struct {
	In, Out List // the lines: the head is with the engine, the rest wait
	Loose   List // started operations in no line
	Closers List // closes waiting for the rest to end

	FD   int32
	Kind Kind

	// Torn is set when a send stopped part-way: what is behind it fails.
	Torn bool
	// Resumes is set if whoever sends knows how far it came and goes on there: then
	// a send that stopped part-way tears nothing. It is set before the first send.
	Resumes bool
	// NoSeek is set if the descriptor has no offsets: pipes, sockets, terminals.
	NoSeek bool
	// Unix is set for unix sockets.
	Unix bool
	// Connected is set for message sockets that have a peer.
	Connected bool
	// UDP is set for UDP sockets.
	UDP bool
	// Counter is set for an eventfd of Loop.NewEvent.
	Counter bool
	// Shut is set when the descriptor itself is being closed.
	Shut bool
	// Bits are the engine's.
	Bits Bits
	// Slot is the engine's: the name of the handle towards the kernel.
	Slot uint32

	Loop  uint32 // the loop's number
	Index uint32 // the loop's: its place among the handles
	// gate counts the submissions that were let in, above a bit for a close:
	// whoever submits it sets it, and later submissions are refused from that
	// moment on.
	gate atomic.Uint32
	// Admitted counts those of the gate that the loop has seen. Until it has seen
	// all of them, the close waits: its callback is the last.
	Admitted uint32
	// Named is how many operations under way name the handle as their second.
	Named int32
	// Held is how many Buffers were filled for the handle and not returned.
	Held int32
	// guests counts those who use the descriptor's number themselves: Use.
	guests atomic.Int32
	// busy counts what the user has called work in progress: Conn.Busy.
	busy atomic.Int32
}

const (
	gateClosed = 1
	gateOne    = 2 // the count wraps, and never touches the bit
)

// Let lets a submission in, unless the handle is closing.
func (s *HandleState) Let() bool {
	for {
		g := s.gate.Load()
		if g&gateClosed != 0 {
			return false // without a trace: the close might be waiting for the count
		}
		if s.gate.CompareAndSwap(g, g+gateOne) {
			return true
		}
	}
}

// LetOut takes back a submission that was let in, but that its loop refused.
func (s *HandleState) LetOut() { s.gate.Add(^uint32(gateOne - 1)) }

// AllAdmitted reports whether the loop has seen all that was let in.
func (s *HandleState) AllAdmitted() bool { return s.gate.Load()/gateOne == s.Admitted%(1<<31) }

// Bits is an engine's knowledge of a descriptor.
type Bits uint8

// The bits.
const (
	// Registered: epoll watches the descriptor.
	Registered Bits = 1 << iota
	// Refused: epoll can't watch it (EPERM): its operations go to the workers.
	Refused
	// Dry: the last receive emptied it, so the next waits for an edge first.
	Dry
	// Choked: the last send filled it, so the next waits for an edge first.
	Choked
	// Hung: a hang-up or error was seen, no further edge may come: always try.
	Hung
	// NoWait: RWF_NOWAIT is of no use here, reads go to the workers.
	NoWait
	// Urgent: out-of-band data was seen: receives stop early at its mark.
	Urgent
	// NoJoin: datagrams can't go as one that the kernel cuts apart.
	NoJoin
)

// SealForClose marks the handle as closing. It reports false if it already was.
func (s *HandleState) SealForClose() bool { return s.gate.Or(gateClosed)&gateClosed == 0 }

// Closing reports whether a close has been submitted.
func (s *HandleState) Closing() bool { return s.gate.Load()&gateClosed != 0 }

// Use keeps the descriptor open, unless the handle is closing, until as many Leave.
// It reports whether it does; Leave must follow in any case.
func (s *HandleState) Use() bool {
	s.guests.Add(1)
	return !s.Closing() // whoever closes looks for guests after that bit was set
}

// Leave ends a Use. It reports whether a close may be waiting for that.
func (s *HandleState) Leave() bool { return s.guests.Add(-1) == 0 && s.Closing() }

// Used reports whether somebody uses the descriptor's number.
func (s *HandleState) Used() bool { return s.guests.Load() > 0 }

// AddBusy counts work in progress that the loop can't see. Any goroutine.
func (s *HandleState) AddBusy(n int) { s.busy.Add(int32(n)) }

// Gone takes the descriptor's number away: it is another's from now on.
func (s *HandleState) Gone() { atomic.StoreInt32(&s.FD, -1) }

// Busy reports whether something is being sent, is received and not yet given
// back, or is said to be in progress.
func (s *HandleState) Busy() bool { return !s.Out.Empty() || s.Held > 0 || s.busy.Load() > 0 }

// Pending reports whether operations other than closes are under way.
func (s *HandleState) Pending() bool {
	return !s.In.Empty() || !s.Out.Empty() || !s.Loose.Empty() || s.Named > 0
}

// Idle reports whether nothing is under way but multishot operations.
func (s *HandleState) Idle() bool {
	if !s.Out.Empty() || !s.Loose.Empty() || s.Named > 0 {
		return false
	}
	for o := s.In.Head(); o != nil; o = o.req.Next {
		if !o.req.Code.Info().Multi {
			return false
		}
	}
	return true
}

// Init makes h the handle of a descriptor.
func (h *Handle) Init(fd int, k Kind, seek bool, loop uint32) {
	h.s.FD, h.s.Kind, h.s.NoSeek, h.s.Loop = int32(fd), k, !seek, loop
}

// Kind is what sort of descriptor a handle has.
type Kind uint8

// The kinds.
const (
	Socket    Kind = iota // a stream socket
	Packet                // a socket that keeps the bounds of messages
	Seqpacket             // one that does and is connected: zero bytes are its end
	Stream                // a pipe, a terminal, another character device
	File                  // a regular file, a block device, a directory
	Direct                // a file opened with O_DIRECT
)

// IsSocket reports whether the kind takes socket calls.
func (k Kind) IsSocket() bool { return k <= Seqpacket }

// HasBounds reports whether what is sent at once is received at once.
func (k Kind) HasBounds() bool { return k == Packet || k == Seqpacket }

// IsFile reports whether the kind has offsets and no readiness.
func (k Kind) IsFile() bool { return k >= File }

// Position returns the line that c takes on h: nil if none.
func (s *HandleState) Position(c Code) *List {
	switch c.Info().Line {
	case InLine:
		return &s.In
	case OutLine:
		return &s.Out
	}
	return nil
}
