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
	ext    *op.Scratch // what the kernel reads by address: msghdr, iovec
	gen    uint32      // 31 bits
	next   uint32      // the next free slot
	poll   bool        // the entry waits for readiness; then comes the next try
	queued bool        // in line for a submission entry
	gone   bool        // cancelled in line: its turn there frees the slot
	cancel bool        // asked to end early
	begun  bool        // an emulated connect that is in progress
}

const none = ^uint32(0)

// slots is the table. It grows as operations are submitted, and never shrinks.
type slots struct {
	all  []slot
	free uint32
	exts []*op.Scratch // free ones
}

func (t *slots) take(o *op.Op) uint32 {
	i := t.free
	if i == none {
		i = uint32(len(t.all))
		t.all = append(t.all, slot{})
	} else {
		t.free = t.all[i].next
	}
	s := &t.all[i]
	*s = slot{o: o, gen: s.gen}
	o.Req().Slot = i
	return i
}

// release frees a slot; its next user has another generation.
func (t *slots) release(i uint32) {
	s := &t.all[i]
	if s.ext != nil {
		s.ext.Clear()
		t.exts = append(t.exts, s.ext)
		s.ext = nil
	}
	s.o = nil
	s.gen = (s.gen + 1) & (1<<31 - 1)
	s.next, t.free = t.free, i
}

// scratch returns the slot's extension.
func (t *slots) scratch(s *slot) *op.Scratch {
	if s.ext == nil {
		if n := len(t.exts); n > 0 {
			s.ext, t.exts = t.exts[n-1], t.exts[:n-1]
		} else {
			s.ext = new(op.Scratch)
		}
	}
	return s.ext
}

// Tags in the top bits of user_data. An operation's has none.
const (
	cancelTag = 1 << 63 // a cancel; the rest is its target
	wakeTag   = 1<<63 | 1<<62 - 1
)

func (t *slots) userData(i uint32) uint64 { return uint64(t.all[i].gen)<<32 | uint64(i) }

// find returns the slot that a completion names, nil if it has moved on.
func (t *slots) find(ud uint64) (*slot, uint32) {
	i := uint32(ud)
	if uint64(i) >= uint64(len(t.all)) {
		return nil, i
	}
	s := &t.all[i]
	if s.o == nil || s.gen != uint32(ud>>32) {
		return nil, i
	}
	return s, i
}
