package main

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// slowTime is how long the handler of a slow request waits: for a database, say.
const slowTime = time.Millisecond

// handle is a handler that blocks its thread in a system call if the request's first
// byte says so. Requests of this load come one at a time, each in one piece.
func handle(request []byte) {
	if !isSlow(request) {
		return
	}
	ts := unix.NsecToTimespec(int64(slowTime))
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}

func isSlow(request []byte) bool { return len(request) > 0 && request[0] == slowMark }

// slowEcho handles requests in the callback; with workers, slow ones on the loop's
// workers, which come back with the answer.
func slowEcho(workers bool) echo {
	return func(l *proactor.Loop, c *proactor.Conn) {
		s := &slowSession{session{loop: l, conn: c}, workers}
		s.rd.Done, s.wr.Done = s.received, s.sent
		s.sent(&s.wr)
	}
}

type slowSession struct {
	session
	workers bool
}

func (s *slowSession) received(o *proactor.Op) {
	n, err := o.Result()
	switch {
	case err != nil:
		_ = s.conn.Close(nil)
	case s.workers && isSlow(s.buf[:n]):
		s.work(n)
	default:
		handle(s.buf[:n])
		s.answer(n)
	}
}

// work handles a request on a worker. Nothing of the connection is under way meanwhile.
func (s *slowSession) work(n int) {
	_, err := s.loop.Go(func() { handle(s.buf[:n]) }, func(err error) {
		if err == nil {
			s.answer(n)
		}
	})
	if err != nil {
		_ = s.conn.Close(nil)
	}
}
