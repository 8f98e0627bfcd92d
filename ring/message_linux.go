package ring

import (
	"slices"
	"sync"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// A message from one ring to another (IORING_OP_MSG_RING, Linux 5.18) is a completion
// there, which ends a wait. It travels with what the sender submits anyway.

// door is where others send messages to: a duplicate of the ring's descriptor, made
// for the first of them. While an entry names it, it isn't closed: the number could be
// another's when the kernel reads the entry.
type door struct {
	mu    sync.Mutex
	fd    int // -1: not made
	users int
	shut  bool
}

// enter returns the descriptor, which stays open until leave; false if there is none.
func (d *door) enter(ring int) (int, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return -1, false
	}
	if d.fd < 0 {
		fd, err := unix.FcntlInt(uintptr(ring), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return -1, false
		}
		d.fd = fd
	}
	d.users++
	return d.fd, true
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users--
	d.closeUnused()
}

// close lets nobody in any more; the last user closes the descriptor.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	d.closeUnused()
}

func (d *door) closeUnused() {
	if d.shut && d.users == 0 && d.fd >= 0 {
		op.CloseFD(d.fd)
		d.fd = -1
	}
}

func (d *door) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

// messages are the engine's, to others.
type messages struct {
	unsent []*Engine // entries to them are written and no enter has come since
	held   []*Engine // an enter has come, and has left entries behind: maybe these
	peers  []*Engine // by the number in an entry's user_data
	off    bool      // there are none, or no more
}

// WakePeer ends a wait of another ring by a message in the next submission. It reports
// false where that can't be.
func (e *Engine) WakePeer(to op.Engine) bool {
	t, ok := to.(*Engine)
	if !ok || e.messages.off || t == e {
		return false
	}
	if slices.Contains(e.messages.unsent, t) {
		return true
	}
	fd, ok := t.door.enter(t.r.fd)
	if !ok {
		return false
	}
	q := e.entry()
	if q == nil {
		t.door.leave()
		return false
	}
	*q = sqe{opcode: opMsgRing, flags: skipSuccess, fd: int32(fd), off: messageTag, userData: missedTag | uint64(e.number(t))<<32}
	e.messages.unsent = append(e.messages.unsent, t)
	return true
}

// number returns the peer's number; those of engines that are closed are used again.
func (e *Engine) number(t *Engine) int {
	m := &e.messages
	if i := slices.Index(m.peers, t); i >= 0 {
		return i
	}
	if i := slices.IndexFunc(m.peers, func(x *Engine) bool { return x.door.isShut() }); i >= 0 {
		m.peers[i] = t
		return i
	}
	m.peers = append(m.peers, t)
	return len(m.peers) - 1
}

// missed takes the end of a message that didn't arrive: the peer is closing, its
// completion queue is full, or the kernel can't. It is woken in the other way.
func (e *Engine) missed(c *cqe) {
	if c.res >= 0 {
		return
	}
	if c.res == -int32(unix.EINVAL) {
		e.messages.off = true
	}
	e.messages.peers[c.userData>>32&(1<<31-1)].Wake()
}

// entered follows each enter: when the kernel has taken all entries, it looks no
// descriptor of theirs up any more.
func (e *Engine) entered() {
	m := &e.messages
	if len(m.unsent)+len(m.held) == 0 {
		return
	}
	m.held = append(m.held, m.unsent...)
	clear(m.unsent)
	m.unsent = m.unsent[:0]
	if e.r.unsubmitted() == 0 {
		m.letGo()
	}
}

func (m *messages) letGo() {
	for i, t := range m.held {
		t.door.leave()
		m.held[i] = nil
	}
	m.held = m.held[:0]
}

// FlushPeers sends the messages that are written. The last time, when the ring may
// never be entered again, those that they are for are woken in the other way.
func (e *Engine) FlushPeers(last bool) {
	m := &e.messages
	if !last {
		if len(m.unsent) > 0 {
			_ = e.enterNow()
		}
		return
	}
	m.off = true
	m.held = append(m.held, m.unsent...)
	m.unsent = nil
	for _, t := range m.held {
		t.Wake()
	}
	m.letGo()
}

// enterNow submits, and notes it.
func (e *Engine) enterNow() error {
	e.counters.Enters++
	err := e.r.enterNow()
	e.entered()
	return err
}
