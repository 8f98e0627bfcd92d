package main

import "math"

// is compares an argument with a word in small letters.
func is(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, c := range arg {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// set is SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL].
func (s *server) set(n *session, args [][]byte) {
	if len(args) == 3 { // what nearly all are
		s.store(n, args[1], args[2], 0)
		n.ok()
		return
	}
	var nx, xx, get, keep, timed bool
	var expires int64
	for i := 3; i < len(args); i++ {
		a := args[i]
		switch {
		case is(a, "nx") && !xx:
			nx = true
		case is(a, "xx") && !nx:
			xx = true
		case is(a, "get"):
			get = true
		case is(a, "keepttl") && !timed:
			keep = true
		case i+1 < len(args) && !timed && !keep && unitOf(a) != unit{}:
			timed = true
			i++
			t, ok := parseInt(args[i])
			if !ok {
				n.error(errInteger)
				return
			}
			if expires, ok = unitOf(a).point(s.data.clock(), t); !ok || t <= 0 {
				n.error("ERR invalid expire time in 'set' command")
				return
			}
		default:
			n.error(errSyntax)
			return
		}
	}
	e := s.look(n, args[1])
	stored := !(nx && e != nil || xx && e == nil)
	if keep && e != nil {
		expires = e.expires
	}
	if stored {
		n.needs(s.log.set(args[1], args[2], expires)) // before the reply: with GET, too, it depends on that
	}
	switch {
	case get:
		n.value(e)
	case !stored:
		n.null()
	default:
		n.ok()
	}
	if stored {
		s.data.set(args[1], args[2], expires, s.log.last())
	}
}

// unit is how an argument tells a time.
type unit struct {
	ms       int64
	absolute bool
}

func unitOf(word []byte) unit {
	switch {
	case is(word, "ex"):
		return unit{1000, false}
	case is(word, "px"):
		return unit{1, false}
	case is(word, "exat"):
		return unit{1000, true}
	case is(word, "pxat"):
		return unit{1, true}
	}
	return unit{}
}

// point returns the time t in ms since 1970, unless there is no such.
func (u unit) point(now, t int64) (at int64, ok bool) {
	if t > math.MaxInt64/u.ms || t < math.MinInt64/u.ms {
		return 0, false
	}
	at = t * u.ms
	if !u.absolute {
		if at > math.MaxInt64-now {
			return 0, false
		}
		at += now
	}
	return at, true
}

// setFor is SETEX or PSETEX.
func setFor(ms int64) func(*server, *session, [][]byte) {
	return func(s *server, n *session, args [][]byte) {
		t, ok := parseInt(args[2])
		if !ok {
			n.error(errInteger)
			return
		}
		at, ok := unit{ms, false}.point(s.data.clock(), t)
		if !ok || t <= 0 {
			n.error("ERR invalid expire time in '" + map[int64]string{1000: "setex", 1: "psetex"}[ms] + "' command")
			return
		}
		s.store(n, args[1], args[3], at)
		n.ok()
	}
}

// expireIn is EXPIRE and its like: key time [NX | XX | GT | LT].
func expireIn(ms int64, absolute bool) func(*server, *session, [][]byte) {
	return func(s *server, n *session, args [][]byte) {
		t, ok := parseInt(args[2])
		if !ok {
			n.error(errInteger)
			return
		}
		at, ok := unit{ms, absolute}.point(s.data.clock(), t)
		if !ok {
			n.error("ERR invalid expire time in '" + string(lowered(args[0])) + "' command")
			return
		}
		may, wrong := condition(args[3:])
		if wrong != "" {
			n.error(wrong)
			return
		}
		e := s.look(n, args[1])
		if e == nil || !may(e.expires, at) {
			n.integer(0)
			return
		}
		if at <= s.data.clock() {
			s.remove(n, e)
		} else {
			s.expireAt(n, e, at)
		}
		n.integer(1)
	}
}

func (s *server) expireAt(n *session, e *entry, at int64) {
	e.batch = s.log.expire([]byte(e.key), at)
	s.data.expire(e, at)
	n.needs(e.batch)
}

// condition reads when the expiry may change from one time to another.
func condition(args [][]byte) (may func(from, to int64) bool, wrong string) {
	var nx, xx, gt, lt bool
	for _, a := range args {
		switch {
		case is(a, "nx"):
			nx = true
		case is(a, "xx"):
			xx = true
		case is(a, "gt"):
			gt = true
		case is(a, "lt"):
			lt = true
		default:
			return nil, "ERR Unsupported option " + string(a)
		}
	}
	switch {
	case nx && (xx || gt || lt):
		return nil, "ERR NX and XX, GT or LT options at the same time are not compatible"
	case gt && lt:
		return nil, "ERR GT and LT options at the same time are not compatible"
	}
	return func(from, to int64) bool {
		never := from == 0 // for GT and LT that is later than all
		return !(nx && !never || xx && never || gt && (never || to <= from) || lt && !never && to >= from)
	}, ""
}

func (s *server) persist(n *session, args [][]byte) {
	e := s.look(n, args[1])
	if e == nil || e.expires == 0 {
		n.integer(0)
		return
	}
	s.expireAt(n, e, 0)
	n.integer(1)
}

// timeLeft is TTL or PTTL.
func timeLeft(ms int64) func(*server, *session, [][]byte) {
	return func(s *server, n *session, args [][]byte) {
		switch e := s.look(n, args[1]); {
		case e == nil:
			n.integer(-2)
		case e.expires == 0:
			n.integer(-1)
		default:
			n.integer((e.expires - s.data.clock() + ms/2) / ms)
		}
	}
}
