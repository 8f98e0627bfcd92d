package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// health finds out which backends are up: by a connect to each from time to time, and
// from the sessions' connects that fail. A backend that fails fall times in a row is
// down, and is up again when rise checks in a row have succeeded.
type health struct {
	p       *proxy
	loop    *proactor.Loop // has the checks
	dialer  proactor.Dialer
	stopped atomic.Bool
}

// checker is the check of one backend. Its fields are the loop's.
type checker struct {
	h    *health
	b    *backend
	good int // in a row, while it is down
}

func (h *health) init(p *proxy, l *proactor.Loop) {
	h.p, h.loop = p, l
	h.dialer = proactor.Dialer{Timeout: min(p.check, p.connect)}
	h.watch(p.balancer.backends())
}

// watch begins to check backends, until they are removed.
func (h *health) watch(all []*backend) {
	if h.p.check == 0 {
		return
	}
	for _, b := range all {
		c := &checker{h: h, b: b}
		_ = h.loop.Post(c.check)
	}
}

// stop ends the checks.
func (h *health) stop() { h.stopped.Store(true) }

func (c *checker) check() {
	if c.h.stopped.Load() || c.b.removed.Load() {
		return
	}
	if _, err := c.h.dialer.Dial(c.h.loop, c.b.network, c.b.address, c.checked); err != nil {
		c.checked(nil, err)
	}
}

func (c *checker) checked(conn *proactor.Conn, err error) {
	if conn != nil {
		_ = conn.Close(nil)
	}
	switch {
	case errors.Is(err, proactor.ErrClosed): // the loop is closing
		return
	case lacking(err): // not its fault
	case err != nil:
		c.good = 0
		c.h.suspect(c.b, err)
	default:
		c.succeeded()
	}
	_, _ = c.h.loop.After(c.h.p.check, func(err error) {
		if err == nil {
			c.check()
		}
	})
}

func (c *checker) succeeded() {
	c.b.row.Store(0)
	if !c.b.down.Load() {
		c.good = 0
		return
	}
	if c.good++; c.good >= c.h.p.rise {
		c.good = 0
		c.b.down.Store(false)
		c.h.p.say("%v is up", c.b)
		c.h.p.freed()
	}
}

// suspect counts a connect that failed, of a check or of a session. Without checks
// nobody would find out that a backend is up again, so it isn't taken for down.
func (h *health) suspect(b *backend, err error) {
	if lacking(err) {
		return
	}
	if n := b.row.Add(1); h.p.check > 0 && int(n) >= h.p.fall && b.down.CompareAndSwap(false, true) {
		h.p.say("%v is down: %v", b, err)
	}
}

// minCheck is the shortest time between two checks.
const minCheck = 10 * time.Millisecond
