package ring

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// slot is the place of an operation that the kernel has. The table of slots
// keeps the Op, and through it the buffers, reachable until the completion.
//
// The kernel gets a slot's index and generation, never a pointer: the garbage
// collector couldn't see it, and neither a late completion nor a late cancel
// must hit the slot's next user.
type slot struct {
	o      *op.Op
	gen    uint32 // 31 bits
	link   uint32 // free: the next free slot; in use: its extension plus one, if it has any
	poll   bool   // the entry waits for readiness; then comes the next try
	queued bool   // in line for a submission entry
	gone   bool   // cancelled in line: its turn there frees the slot
	cancel bool   // asked to end early
	begun  bool   // an emulated connect that is in progress
	sent   bool   // a zero-copy send whose notification is awaited
	listed bool   // a multishot receive among those that become quiet,
	fresh  bool   // and it has brought something since the last look
}

const none = ^uint32(0)

// slots is the table. It grows as operations are submitted, and never shrinks.
type slots struct {
	all  op.Table[slot]
	free uint32
	// Few operations have an extension: what the kernel reads by address, a msghdr
	// or iovecs. They have their own table.
	exts     []*op.Scratch
	freeExts []uint32
}

func (t *slots) take(o *op.Op) uint32 {
	i := t.free
	if i == none {
		i = t.all.Add()
	} else {
		t.free = t.all.At(i).link
	}
	s := t.all.At(i)
	*s = slot{o: o, gen: s.gen}
	o.Req().Slot = i
	return i
}

// release frees a slot; its next user has another generation.
func (t *slots) release(i uint32) {
	s := t.all.At(i)
	if s.link != 0 {
		t.exts[s.link-1].Clear()
		t.freeExts = append(t.freeExts, s.link-1)
	}
	s.o = nil
	s.gen = (s.gen + 1) & (1<<31 - 1)
	s.link, t.free = t.free, i
}

// scratch returns the slot's extension.
func (t *slots) scratch(s *slot) *op.Scratch {
	if s.link == 0 {
		if n := len(t.freeExts); n > 0 {
			s.link, t.freeExts = t.freeExts[n-1]+1, t.freeExts[:n-1]
		} else {
			t.exts = append(t.exts, new(op.Scratch))
			s.link = uint32(len(t.exts))
		}
	}
	return t.exts[s.link-1]
}

// Tags in the top bits of user_data. An operation's has none.
const (
	cancelTag = 1 << 63 // a cancel; the rest is its target
	wakeTag   = 1<<63 | 1<<62 - 1

	messageTag = 1<<63 | messageIndex // from another ring
	missedTag  = 1<<63 | missedIndex  // to another ring, whose number is where generations are

	// No slot has these indices.
	messageIndex = 1<<32 - 2
	missedIndex  = 1<<32 - 3
)

func (t *slots) userData(i uint32) uint64 { return uint64(t.all.At(i).gen)<<32 | uint64(i) }

// find returns the slot that a completion names, nil if it has moved on.
func (t *slots) find(ud uint64) (*slot, uint32) {
	i := uint32(ud)
	if i >= t.all.Len() {
		return nil, i
	}
	s := t.all.At(i)
	if s.o == nil || s.gen != uint32(ud>>32) {
		return nil, i
	}
	return s, i
}
