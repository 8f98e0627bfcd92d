package main

import (
	"fmt"
	"math"
	"strings"
)

// command is one of those that the server knows.
type command struct {
	name  string
	arity int // arguments with the name; negative: at least as many
	do    func(s *server, n *session, args [][]byte)
	write bool
	// Where the keys are among the arguments: the first, the last (negative: from
	// the end), and the step; 0: there are none.
	first, last, step int
	calls             uint64
}

// newCommands returns the commands by their names.
func newCommands() map[string]*command {
	all := map[string]*command{}
	for _, c := range []command{
		{name: "get", arity: 2, do: (*server).get, first: 1, last: 1, step: 1},
		{name: "set", arity: -3, do: (*server).set, write: true, first: 1, last: 1, step: 1},
		{name: "setnx", arity: 3, do: (*server).setNX, write: true, first: 1, last: 1, step: 1},
		{name: "setex", arity: 4, do: setFor(1000), write: true, first: 1, last: 1, step: 1},
		{name: "psetex", arity: 4, do: setFor(1), write: true, first: 1, last: 1, step: 1},
		{name: "getset", arity: 3, do: (*server).getSet, write: true, first: 1, last: 1, step: 1},
		{name: "getdel", arity: 2, do: (*server).getDel, write: true, first: 1, last: 1, step: 1},
		{name: "mget", arity: -2, do: (*server).mget, first: 1, last: -1, step: 1},
		{name: "mset", arity: -3, do: (*server).mset, write: true, first: 1, last: -1, step: 2},
		{name: "append", arity: 3, do: (*server).append, write: true, first: 1, last: 1, step: 1},
		{name: "strlen", arity: 2, do: (*server).strlen, first: 1, last: 1, step: 1},
		{name: "incr", arity: 2, do: incrementOf(1), write: true, first: 1, last: 1, step: 1},
		{name: "decr", arity: 2, do: incrementOf(-1), write: true, first: 1, last: 1, step: 1},
		{name: "incrby", arity: 3, do: incrementBy(1), write: true, first: 1, last: 1, step: 1},
		{name: "decrby", arity: 3, do: incrementBy(-1), write: true, first: 1, last: 1, step: 1},
		{name: "del", arity: -2, do: (*server).del, write: true, first: 1, last: -1, step: 1},
		{name: "unlink", arity: -2, do: (*server).del, write: true, first: 1, last: -1, step: 1},
		{name: "exists", arity: -2, do: (*server).exists, first: 1, last: -1, step: 1},
		{name: "type", arity: 2, do: (*server).typeOf, first: 1, last: 1, step: 1},
		{name: "expire", arity: -3, do: expireIn(1000, false), write: true, first: 1, last: 1, step: 1},
		{name: "pexpire", arity: -3, do: expireIn(1, false), write: true, first: 1, last: 1, step: 1},
		{name: "expireat", arity: -3, do: expireIn(1000, true), write: true, first: 1, last: 1, step: 1},
		{name: "pexpireat", arity: -3, do: expireIn(1, true), write: true, first: 1, last: 1, step: 1},
		{name: "persist", arity: 2, do: (*server).persist, write: true, first: 1, last: 1, step: 1},
		{name: "ttl", arity: 2, do: timeLeft(1000), first: 1, last: 1, step: 1},
		{name: "pttl", arity: 2, do: timeLeft(1), first: 1, last: 1, step: 1},
		{name: "dbsize", arity: 1, do: (*server).dbsize},
		{name: "flushall", arity: -1, do: (*server).flushAll, write: true},
		{name: "flushdb", arity: -1, do: (*server).flushAll, write: true},
		{name: "ping", arity: -1, do: (*server).ping},
		{name: "echo", arity: 2, do: (*server).echo},
		{name: "quit", arity: -1, do: (*server).quit},
		{name: "select", arity: 2, do: (*server).selectDB},
		{name: "hello", arity: -1, do: (*server).hello},
		{name: "client", arity: -2, do: (*server).client},
		{name: "time", arity: 1, do: (*server).time},
		{name: "info", arity: -1, do: (*server).info},
		{name: "config", arity: -2, do: (*server).configure},
		{name: "command", arity: -1, do: (*server).command},
		{name: "bgrewriteaof", arity: 1, do: (*server).rewrite},
	} {
		all[c.name] = &c
	}
	return all
}

const (
	errSyntax  = "ERR syntax error"
	errInteger = "ERR value is not an integer or out of range"
)

// execute executes one request. What args name is gone when it returns.
func (s *server) execute(n *session, args [][]byte) {
	if len(args) == 0 {
		return
	}
	if n.out == nil {
		n.out = s.buffer()
	}
	c := s.find(args[0])
	switch {
	case c == nil:
		n.error(unknown(args))
	case c.arity > 0 && len(args) != c.arity || len(args) < -c.arity:
		n.error("ERR wrong number of arguments for '" + c.name + "' command")
	case c.write && s.log != nil && s.log.failed != nil:
		n.error("MISCONF Errors writing to the AOF file: " + s.log.failed.Error())
	default:
		s.commands++
		c.calls++
		c.do(s, n, args)
	}
}

// find finds a command by its name in whatever case.
func (s *server) find(name []byte) *command {
	if len(name) > len(s.lower) {
		return nil
	}
	low := s.lower[:len(name)]
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return s.table[string(low)]
}

func unknown(args [][]byte) string {
	const most = 128
	var b strings.Builder
	fmt.Fprintf(&b, "ERR unknown command '%s', with args beginning with: ", args[0][:min(len(args[0]), most)])
	with := b.Len()
	for _, a := range args[1:] {
		left := most - (b.Len() - with)
		if left <= 0 {
			break
		}
		fmt.Fprintf(&b, "'%s' ", a[:min(len(a), left)])
	}
	return b.String()
}

// Replies.

func (n *session) ok()               { n.out = append(n.out, replyOK...) }
func (n *session) null()             { n.out = append(n.out, replyNil...) }
func (n *session) integer(i int64)   { n.out = appendInt(n.out, i) }
func (n *session) bulk(b []byte)     { n.out = appendBulk(n.out, b) }
func (n *session) error(text string) { n.out = appendError(n.out, text) }

func (n *session) value(e *entry) {
	if e == nil {
		n.null()
		return
	}
	n.bulk(e.val)
}

func (n *session) simple(text string) {
	n.out = append(append(append(n.out, '+'), text...), '\r', '\n')
}
func (n *session) texts(texts ...string) {
	n.out = appendArray(n.out, len(texts))
	for _, t := range texts {
		n.out = appendBulk(n.out, []byte(t))
	}
}

// look returns a key's entry for a reply, which then depends on what made it so.
func (s *server) look(n *session, key []byte) *entry {
	e := s.data.get(key)
	if e == nil {
		n.needs(s.data.deleted)
		return nil
	}
	n.needs(e.batch)
	return e
}

// store sets a key, and logs that.
func (s *server) store(n *session, key, val []byte, expires int64) {
	batch := s.log.set(key, val, expires)
	s.data.set(key, val, expires, batch)
	n.needs(batch)
}

// remove deletes an entry, and logs that.
func (s *server) remove(n *session, e *entry) {
	s.data.deleted = s.log.remove([]byte(e.key))
	s.data.drop(e)
	n.needs(s.data.deleted)
}

func (s *server) get(n *session, args [][]byte) {
	n.value(s.look(n, args[1]))
}

func (s *server) setNX(n *session, args [][]byte) {
	if s.look(n, args[1]) != nil {
		n.integer(0)
		return
	}
	s.store(n, args[1], args[2], 0)
	n.integer(1)
}

func (s *server) getSet(n *session, args [][]byte) {
	e := s.look(n, args[1])
	batch := s.log.set(args[1], args[2], 0)
	n.needs(batch) // before the reply, which depends on what is stored now
	n.value(e)
	s.data.set(args[1], args[2], 0, batch)
}

func (s *server) mget(n *session, args [][]byte) {
	size := 0
	for _, key := range args[1:] {
		if e := s.look(n, key); e != nil {
			size += len(e.val)
		}
	}
	if size > s.config.request {
		n.error("ERR the reply would be larger than the limit of a request")
		return
	}
	n.out = appendArray(n.out, len(args)-1)
	for _, key := range args[1:] {
		n.value(s.look(n, key))
	}
}

func (s *server) mset(n *session, args [][]byte) {
	if len(args)%2 == 0 {
		n.error("ERR wrong number of arguments for 'mset' command")
		return
	}
	for i := 1; i < len(args); i += 2 {
		s.store(n, args[i], args[i+1], 0)
	}
	n.ok()
}

func (s *server) append(n *session, args [][]byte) {
	e := s.look(n, args[1])
	if e == nil {
		s.store(n, args[1], args[2], 0)
		n.integer(int64(len(args[2])))
		return
	}
	if len(e.val)+len(args[2]) > s.config.bulk {
		n.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
		return
	}
	s.scratch = append(append(s.scratch[:0], e.val...), args[2]...)
	s.store(n, args[1], s.scratch, e.expires)
	n.integer(int64(len(s.scratch)))
	if cap(s.scratch) > bufferMax {
		s.scratch = nil
	}
}

func (s *server) strlen(n *session, args [][]byte) {
	size := 0
	if e := s.look(n, args[1]); e != nil {
		size = len(e.val)
	}
	n.integer(int64(size))
}

func incrementOf(by int64) func(*server, *session, [][]byte) {
	return func(s *server, n *session, args [][]byte) { s.increment(n, args[1], by) }
}

func incrementBy(sign int64) func(*server, *session, [][]byte) {
	return func(s *server, n *session, args [][]byte) {
		by, ok := parseInt(args[2])
		switch {
		case !ok:
			n.error(errInteger)
		case sign < 0 && by == math.MinInt64:
			n.error("ERR decrement would overflow")
		default:
			s.increment(n, args[1], sign*by)
		}
	}
}

func (s *server) increment(n *session, key []byte, by int64) {
	var now, expires int64
	if e := s.look(n, key); e != nil {
		var ok bool
		if now, ok = parseInt(e.val); !ok {
			n.error(errInteger)
			return
		}
		expires = e.expires
	}
	if by > 0 && now > math.MaxInt64-by || by < 0 && now < math.MinInt64-by {
		n.error("ERR increment or decrement would overflow")
		return
	}
	s.scratch = appendDigits(s.scratch[:0], now+by)
	s.store(n, key, s.scratch, expires)
	n.integer(now + by)
}

func (s *server) del(n *session, args [][]byte) {
	count := int64(0)
	for _, key := range args[1:] {
		if e := s.look(n, key); e != nil {
			s.remove(n, e)
			count++
		}
	}
	n.integer(count)
}

func (s *server) getDel(n *session, args [][]byte) {
	e := s.look(n, args[1])
	if e == nil {
		n.null()
		return
	}
	val := e.val
	s.remove(n, e)
	n.bulk(val)
}

func (s *server) exists(n *session, args [][]byte) {
	count := int64(0)
	for _, key := range args[1:] {
		if s.look(n, key) != nil {
			count++
		}
	}
	n.integer(count)
}

func (s *server) typeOf(n *session, args [][]byte) {
	if s.look(n, args[1]) != nil {
		n.simple("string")
	} else {
		n.simple("none")
	}
}

func (s *server) dbsize(n *session, _ [][]byte) {
	n.needs(s.log.last())
	n.integer(int64(len(s.data.row)))
}

func (s *server) flushAll(n *session, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "async") && !is(args[1], "sync") {
		n.error(errSyntax)
		return
	}
	s.data.clear()
	s.data.deleted = s.log.clear()
	n.needs(s.data.deleted)
	n.ok()
}
