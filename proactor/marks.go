package proactor

import (
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// marks are a connection's water marks.
type marks struct {
	low, high int64
	crossed   func(full bool)
	queued    atomic.Int64
	full      bool // the loop's
}

// SetWaterMarks watches how many bytes of the methods Send, SendBuffer and
// SendBuffers are queued or under way: crossed runs on the loop, with true when
// they are more than high, and with false when after that they are at most low.
// In between is the time to pause whatever the data come from, so that a peer
// that doesn't read doesn't grow the program. It is set once, before the first
// send.
func (c *Conn) SetWaterMarks(low, high int, crossed func(full bool)) {
	c.set().marks.Store(&marks{low: int64(low), high: int64(max(high, low)), crossed: crossed})
}

// Queued returns how many bytes are queued or under way; 0 without water marks.
func (c *Conn) Queued() int {
	if m := c.setting().marks.Load(); m != nil {
		return int(m.queued.Load())
	}
	return 0
}

// send submits a send of n bytes and keeps count of them.
func (c *Conn) send(k *call, n int) (op.Ticket, error) {
	m := c.setting().marks.Load()
	if m == nil {
		return k.send(time.Duration(c.setting().sendTimeout.Load()))
	}
	k.marks, k.bytes = m, int64(n)
	q := m.queued.Add(int64(n))
	t, err := k.send(time.Duration(c.setting().sendTimeout.Load()))
	if err != nil {
		m.queued.Add(-int64(n))
	} else if q > m.high && q-int64(n) <= m.high {
		_ = c.loop.Post(m.look)
	}
	return t, err
}

// sent counts bytes as gone.
func (m *marks) sent(n int64) {
	m.queued.Add(-n)
	m.look()
}

// look tells the user when a mark has been crossed. It runs on the loop.
func (m *marks) look() {
	switch q := m.queued.Load(); {
	case !m.full && q > m.high:
		m.full = true
		m.crossed(true)
	case m.full && q <= m.low:
		m.full = false
		m.crossed(false)
	}
}
