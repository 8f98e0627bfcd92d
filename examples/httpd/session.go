package main

import (
	"io"
	"net/http"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

const (
	maxOut  = 64 << 10  // bytes of answers are put together before they are sent
	maxIn   = 64 << 10  // bytes that a client may send ahead of the answers
	maxDrop = 16 << 20  // bytes of what comes behind the last request are dropped
	piece   = 512 << 10 // bytes of a file are sent at once: that much is progress
)

// session is one connection. What is received is answered at once where that is possible:
// all requests in it by one send. If a request must wait, for its file or for the client to
// take an answer, what is received meanwhile is kept in order, up to a limit.
type session struct {
	worker     *worker
	conn       *proactor.Conn
	recv       proactor.Op // of one piece after the other
	send, file proactor.Op
	receiving  proactor.Ticket
	index      int
	since      int64 // when what it waits for began, on the worker's clock

	in      []byte // received, not answered
	out     []byte // answers, also while they are sent
	skip    int64  // bytes of a body that are still to be dropped
	dropped int    // bytes that came behind the last request
	sending int    // operations under way: send, file
	body    body   // of the answer that is under way
	found   found  // for the request at the beginning of in
	peer    string // for the log

	opening   bool // the request at the beginning of in waits for its file
	ready     bool // found is there
	fresh     bool // nothing has been asked yet
	unwelcome bool // there are too many
	guest     bool // holds one of the places of -conns
	last      bool // no more requests are answered: what comes is dropped
	lingering bool // the client is told the end, its own is awaited
	ended     bool // recv has ended
	paused    bool
	closed    bool
	held      bool // a shutdown waits
}

func newSession(w *worker, c *proactor.Conn) *session {
	s := &session{worker: w, conn: c, index: -1, fresh: true, since: w.now}
	s.recv.Done, s.send.Done, s.file.Done = s.received, s.sent, s.sent
	w.log.meet(s)
	return s
}

// start receives. Only a loop or a connection that is closing refuses.
func (s *session) start() {
	var err error
	if s.receiving, err = s.worker.loop.Submit(s.recv.RecvEach(s.conn)); err != nil {
		_ = s.conn.Abort(nil)
		return
	}
	s.worker.add(s)
}

// busy reports whether the next request must wait.
func (s *session) busy() bool { return s.sending > 0 || s.body.file != nil || s.opening || s.last }

// received is the callback of recv.
func (s *session) received(o *proactor.Op) {
	b := o.Buffer()
	if b == nil {
		_, err := o.Result()
		s.end(err)
		return
	}
	s.take(b.Bytes())
	b.Release()
}

func (s *session) take(b []byte) {
	switch {
	case s.last:
		s.drop(len(b))
	case s.busy():
		s.keep(b)
		if len(s.in) >= maxIn && !s.paused {
			s.paused = true
			s.worker.loop.Pause(s.receiving)
		}
	case len(s.in) > 0:
		s.keep(b)
		s.advance()
	default:
		if n := s.process(b); n < len(b) && !s.last {
			s.keep(b[n:])
		}
		s.settle()
	}
}

// drop counts what comes behind the last request. Beyond the limit the client has to wait
// while its answer is under way, and has had its chance when that is sent.
func (s *session) drop(n int) {
	s.dropped += n
	switch {
	case s.dropped <= maxDrop || s.paused:
	case s.lingering:
		s.close()
	default:
		s.paused = true
		s.worker.loop.Pause(s.receiving)
	}
}

// keep appends to what has been received and not answered.
func (s *session) keep(b []byte) {
	if s.in == nil {
		s.in = s.worker.memory()
		if !s.busy() {
			s.since = s.worker.now
		}
	}
	s.in = append(s.in, b...)
}

// advance answers what has been kept.
func (s *session) advance() {
	n := s.process(s.in)
	if n == len(s.in) || s.last {
		s.worker.unused(s.in)
		s.in = nil
	} else if n > 0 {
		s.in = s.in[:copy(s.in, s.in[n:])]
		s.since = s.worker.now
	}
	if s.paused && len(s.in) < maxIn {
		s.paused = false
		s.worker.loop.Resume(s.receiving)
	}
	s.settle()
}

// process answers the requests in b, up to one that must wait or isn't complete, and
// returns how many bytes are dealt with.
func (s *session) process(b []byte) (n int) {
	for !s.busy() {
		if s.skip > 0 {
			k := min(s.skip, int64(len(b)-n))
			if s.skip -= k; s.skip > 0 {
				n = len(b)
				break
			}
			n += int(k)
		}
		if n == len(b) || len(s.out) >= maxOut {
			break
		}
		k := s.answer(b[n:])
		if k == 0 {
			break
		}
		n += k
	}
	s.flush()
	return n
}

// answer answers the request at the beginning of b, and returns how many bytes it takes: 0
// if it must wait or isn't complete.
func (s *session) answer(b []byte) int {
	r := &s.worker.request
	n, status := r.parse(b)
	switch {
	case status != 0: // what follows can't be trusted to be a request
		s.refuse(r, status)
		return len(b)
	case n == 0:
		return 0
	case s.unwelcome:
		s.refuse(r, http.StatusServiceUnavailable)
		return len(b)
	}
	if s.worker.draining || r.expects && r.length > 0 { // with no 100 the body may come or not
		r.keepAlive = false
	}
	s.last = !r.keepAlive
	if !s.respond(r) {
		s.last = false // to be asked again
		return 0
	}
	s.fresh = false
	s.skip = r.length
	s.since = s.worker.now
	return n
}

// refuse answers a request with an error, and closes the connection.
func (s *session) refuse(r *request, status int) {
	s.last = true
	r.keepAlive = false
	s.fail(r, status)
}

// flush sends what there is.
func (s *session) flush() {
	if s.sending > 0 {
		return
	}
	if len(s.out) > 0 {
		s.submit(s.send.Send(s.conn, s.out))
	}
	if n := s.body.next(piece); n > 0 {
		s.submit(s.file.SendFile(s.conn, s.body.file.from, s.body.rest.off, int(n)))
		s.body.sent(n)
	}
}

func (s *session) submit(o *proactor.Op) {
	if _, err := s.worker.loop.Submit(o); err != nil {
		s.abort() // the connection or the loop is closing
		return
	}
	s.sending++
	s.since = s.worker.now
}

// sent is the callback of send and of file.
func (s *session) sent(o *proactor.Op) {
	s.sending--
	s.since = s.worker.now
	if _, err := o.Result(); err != nil {
		// Also a file that has become shorter: the answer can't be completed. To go on, or
		// to wait, would leave a head that was to go with the file in the kernel for 200 ms.
		s.abort()
	}
	if s.sending > 0 {
		return
	}
	s.worker.unused(s.out)
	s.out = nil
	if s.closed {
		s.forget()
		return
	}
	if s.body.file != nil {
		s.pump()
		s.flush()
		if s.sending > 0 {
			return
		}
	}
	s.advance()
}

// settle does what is due when all that can be answered is.
func (s *session) settle() {
	s.hold(s.opening || s.skip > 0 || len(s.in) > 0 || s.last)
	if s.sending > 0 || s.opening {
		return
	}
	switch {
	case s.ended || s.dropped > maxDrop:
		s.close()
	case s.last && !s.lingering:
		// What comes after a close, or is unread then, is answered by a reset, which can
		// take the answer from the client (RFC 9112, section 9.6): so it is read and
		// dropped until the client closes, for a while.
		s.lingering, s.since = true, s.worker.now
		s.worker.leave(s)
		if _, err := s.conn.CloseWrite(nil); err != nil {
			s.close()
		}
	}
}

// hold has a shutdown wait for what it can't see: a request that has begun.
func (s *session) hold(on bool) {
	if on == s.held {
		return
	}
	s.held = on
	if on {
		s.conn.Busy(1)
	} else {
		s.conn.Busy(-1)
	}
}

// end is the end of receiving.
func (s *session) end(err error) {
	s.ended = true
	switch {
	case s.closed:
		s.forget()
	case err != io.EOF: // a reset, or a shutdown
		s.abort()
	default:
		s.settle()
	}
}

func (s *session) close() {
	if !s.closed {
		s.closed = true
		_ = s.conn.Close(nil)
	}
	s.forget()
}

func (s *session) abort() {
	s.closed = true
	_ = s.conn.Abort(nil)
	s.forget()
}

// forget drops a session that is closed, when the last of its callbacks has come.
func (s *session) forget() {
	if s.index < 0 || !s.ended || s.sending > 0 || s.opening {
		return
	}
	s.worker.remove(s)
	s.index = -1
	s.worker.unused(s.in)
	s.worker.unused(s.out)
	s.in, s.out = nil, nil
	s.body.drop(&s.worker.files)
	s.found.drop(&s.worker.files)
}

// expire ends a session that has been waiting for too long.
func (s *session) expire() {
	c, age := s.worker.config, s.worker.now-s.since
	switch {
	case s.closed || s.opening:
	case s.sending > 0:
		if age > int64(c.send) {
			s.abort()
		}
	case s.lingering:
		if age > int64(c.linger) || s.worker.draining && age > int64(c.drain)/2 {
			s.close()
		}
	case s.skip > 0:
		if age > int64(c.idle) {
			s.close()
		}
	case len(s.in) > 0:
		if age > int64(c.header) {
			r := &s.worker.request
			*r = request{}
			s.refuse(r, http.StatusRequestTimeout)
			s.flush()
		}
	case s.fresh:
		if age > int64(c.header) {
			s.close()
		}
	case age > int64(c.idle):
		s.close()
	}
}
