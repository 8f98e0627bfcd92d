package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// session is a client's connection, and the one to a backend that is made for it.
type session struct {
	w      *worker
	index  int             // in w.sessions
	client *proactor.Conn  // accepted
	server *proactor.Conn  // nil until it is connected
	to     *backend        // that it is being connected to, or is; nil if none
	tried  []*backend      // in vain
	dial   proactor.Ticket // of the connect that is under way

	up, down direction // from the client to the backend, and back

	seen       uint32 // the tick of the last sign of life
	drainSince uint32 // the tick of the last direction's failure
	began      uint32 // the tick when it was accepted
	placed     bool   // it counts among p.placed
	shed       bool   // it was turned away to make room
	dialing    bool
	closing    bool
	left       int // connections that aren't closed yet
}

// lingerTime is how long a client whose stream goes nowhere may take to read what was
// sent to it before.
const lingerTime = 5 * time.Second

// accepted is the callback of the listeners.
func (w *worker) accepted(c *proactor.Conn) {
	w.stats.accepted++
	s := &session{w: w, client: c, index: len(w.sessions), seen: w.tick, began: w.tick, left: 1}
	w.sessions = append(w.sessions, s)
	c.Busy(1) // a Shutdown lets it end by itself
	if len(w.waiting) > 0 || !s.start() {
		w.wait(s)
	}
}

// start makes the connection to a backend. It reports false if there is no room.
func (s *session) start() bool {
	if !s.placed {
		if !s.w.p.place() {
			return false
		}
		s.placed = true
	}
	b, err := s.w.p.balancer.choose(s.tried)
	switch {
	case errors.Is(err, errFull):
		return false
	case err != nil:
		s.refuse(err)
		return true
	}
	s.to, s.dialing = b, true
	s.dial, err = s.w.p.dialer.Dial(s.w.loop, b.network, b.address, s.connected)
	switch {
	case err == nil:
	case lacking(err):
		return s.lacks(err)
	default:
		s.dialed(nil, err)
	}
	return true
}

// lacks takes a connect back for which there was no descriptor. When a session ends there
// may be one; when there is no other session, only to turn this one away makes some. It
// reports whether it has.
func (s *session) lacks(err error) bool {
	s.dialing = false
	s.unplace()
	s.w.lack()
	if s.w.p.placed.Load() > 0 || !s.w.p.shedding.CompareAndSwap(false, true) {
		return false
	}
	s.shed = true
	s.refuse(err)
	return true
}

// connected is the callback of the connect.
func (s *session) connected(c *proactor.Conn, err error) {
	switch {
	case err == nil || !lacking(err) || s.closing:
		s.dialed(c, err)
	case !s.lacks(err):
		s.w.wait(s)
	}
}

func (s *session) dialed(c *proactor.Conn, err error) {
	s.dialing = false
	switch {
	case s.closing:
		if c != nil {
			_ = c.Abort(nil)
		}
		s.gone()
	case err != nil:
		s.failed(err)
	default:
		s.established(c)
	}
}

// failed follows a connect that failed: the next backend has its turn.
func (s *session) failed(err error) {
	b := s.to
	b.open.Add(-1)
	s.to = nil
	b.failures.Add(1)
	s.w.p.health.suspect(b, err)
	s.tried = append(s.tried, b)
	if len(s.tried) > s.w.p.retries {
		s.refuse(fmt.Errorf("%d connects failed, the last: %w", len(s.tried), err))
		return
	}
	s.w.stats.retries++
	if !s.start() {
		s.w.wait(s)
	}
}

func (s *session) established(c *proactor.Conn) {
	s.server = c
	s.left++
	c.Busy(1)
	s.seen, s.tried = s.w.tick, nil
	s.to.served.Add(1)
	s.to.row.Store(0)
	s.up.init(s, s.client, s.server)
	s.down.init(s, s.server, s.client)
	if v := s.to.header; v > 0 {
		h := appendHeader(nil, v, addrPort(s.client.RemoteAddr()), addrPort(s.client.LocalAddr()))
		s.w.sendBytes(&s.up, h)
	}
	s.up.start()
	s.down.start()
}

// refuse turns the client away, with a reset: an orderly end could be taken for an
// answer.
func (s *session) refuse(err error) {
	s.w.stats.refused++
	s.w.p.complain("refused: ", err)
	s.abort()
}

// look is the session's part of housekeeping.
func (s *session) look() {
	idle, p := s.w.tick-s.seen, s.w.p
	switch {
	case s.closing || s.dialing:
	case s.server == nil:
		if s.w.tick-s.began > p.ticks(p.connect) {
			s.refuse(errors.New("no room in time"))
		}
	case s.up.discard || s.down.discard:
		if s.w.tick-s.drainSince > p.ticks(lingerTime) {
			s.abort()
		}
	case idle > p.ticks(p.idle):
		s.w.stats.idle++
		if s.up.queued+s.down.queued > 0 || s.up.pipe != nil || s.down.pipe != nil {
			s.abort() // a part must not be taken for the whole
		} else {
			s.close()
		}
	}
}

// close closes both connections in order.
func (s *session) close() {
	if s.closing {
		return
	}
	s.closing = true
	for _, c := range [...]*proactor.Conn{s.client, s.server} {
		if c != nil && c.Close(s.closed) != nil {
			s.closed(nil)
		}
	}
}

// abort resets both connections.
func (s *session) abort() {
	if s.closing {
		return
	}
	s.closing = true
	for _, c := range [...]*proactor.Conn{s.client, s.server} {
		if c == nil {
			continue
		}
		_ = c.SetLinger(0)
		if c.Abort(s.closed) != nil {
			s.closed(nil)
		}
	}
	if s.dialing {
		s.w.loop.Cancel(s.dial)
	}
}

// closed is the last callback of each connection.
func (s *session) closed(error) {
	s.left--
	s.gone()
}

// gone forgets the session when nothing of it is left.
func (s *session) gone() {
	if s.left > 0 || s.dialing {
		return
	}
	s.up.freePipe()
	s.down.freePipe()
	w := s.w
	last := w.sessions[len(w.sessions)-1]
	w.sessions[s.index], last.index = last, s.index
	w.sessions[len(w.sessions)-1] = nil
	w.sessions = w.sessions[:len(w.sessions)-1]
	s.unplace()
	if s.shed {
		w.p.shedding.Store(false)
	}
	w.stats.ended++
	w.p.freed()
}

// unplace gives back what the session counts for.
func (s *session) unplace() {
	if s.to != nil {
		s.to.open.Add(-1)
		s.to = nil
	}
	if s.placed {
		s.placed = false
		s.w.p.placed.Add(-1)
	}
}
