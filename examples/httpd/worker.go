package main

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// worker is what one loop serves with; all of it is the loop goroutine's.
type worker struct {
	server   *server
	config   *config
	loop     *proactor.Loop
	root     *proactor.File // the directory
	files    files
	log      accessLog
	sessions []*session
	guests   int // of the sessions those that count for -conns
	draining bool

	spare    *proactor.File // given up for a connection that is refused, when descriptors run out
	opening  bool           // the spare
	memories [][]byte       // of input and output, unused
	request  request        // that is being answered
	room     []byte         // for its path

	now       int64  // in ns since 1970, of the last tick
	date      int64  // in s, of what follows
	common    []byte // the fields of all answers
	ok        []byte // the status line of 200 and the fields of all answers
	plaintext []byte // the answer to /plaintext
}

func newWorker(s *server, l *proactor.Loop) (*worker, error) {
	w := &worker{server: s, config: s.config, loop: l}
	root, err := openRoot(s.config.root)
	if err != nil {
		return nil, err
	}
	if w.root, err = l.NewFile(root, s.config.root); err != nil {
		op.CloseFD(root)
		return nil, err
	}
	w.files.init(w)
	w.log.init(w)
	w.tell(time.Now())
	w.reserve()
	if _, err := l.Every(tick(s.config), w.tick); err != nil {
		return nil, err
	}
	return w, nil
}

// tick is how often the worker looks at the clock: often enough for the shortest time-out.
func tick(c *config) time.Duration {
	d := min(c.header/8, c.idle/8, c.send/8, c.linger/8, 500*time.Millisecond)
	for _, t := range []time.Duration{c.revalidate, c.drain / 8} {
		if t > 0 {
			d = min(d, t)
		}
	}
	return max(d, 10*time.Millisecond)
}

// tick ends what takes too long. To look at each connection twice a second costs less
// than to arm a deadline for each request.
func (w *worker) tick(err error) {
	if err != nil {
		return
	}
	w.tell(time.Now())
	for i := len(w.sessions) - 1; i >= 0; i-- { // one that ends gives its place to one that was looked at
		w.sessions[i].expire()
	}
	w.log.flush()
	w.reserve()
}

// serverName is what answers say of the server.
const serverName = "go-proactor"

// tell makes what answers say of the time.
func (w *worker) tell(t time.Time) {
	w.now = t.UnixNano()
	if w.date == t.Unix() {
		return
	}
	w.date = t.Unix()
	b := append(w.common[:0], "Server: "+serverName+"\r\nDate: "...)
	w.common = append(t.UTC().AppendFormat(b, http.TimeFormat), "\r\n"...)
	w.ok = append(append(w.ok[:0], "HTTP/1.1 200 OK\r\n"...), w.common...)
	const hello = "Hello, World!"
	w.plaintext = append(append(w.plaintext[:0], w.ok...), "Content-Type: text/plain\r\nContent-Length: "+strconv.Itoa(len(hello))+"\r\n\r\n"+hello...)
	w.log.tell(t)
}

// accepted starts a session. One too many is told so.
func (w *worker) accepted(c *proactor.Conn, err error) {
	if err != nil {
		w.refused(err)
		return
	}
	s := newSession(w, c)
	s.unwelcome = w.spare == nil && !w.opening || w.guests >= w.config.conns
	s.start()
}

// refused is told when accepting fails. If descriptors have run out, those who have their
// last answer must go. If there are none, one descriptor is spared: with that the loop
// accepts the connection, and it can be told why it is closed.
func (w *worker) refused(err error) {
	if errors.Is(err, proactor.ErrClosed) || w.dismiss() {
		return
	}
	w.server.complain(err)
	w.files.shrink()
	if w.spare != nil {
		_ = w.spare.Close(nil)
		w.spare = nil
	}
}

// reserve opens the spare descriptor, if there is none.
func (w *worker) reserve() {
	if w.spare != nil || w.opening {
		return
	}
	w.opening = true
	_, err := w.loop.OpenFile(os.DevNull, os.O_RDONLY, 0, func(f *proactor.File, _ error) {
		w.spare, w.opening = f, false
	})
	if err != nil {
		w.opening = false
	}
}

// dismiss closes the connections that linger, if there are any.
func (w *worker) dismiss() (any bool) {
	for i := len(w.sessions) - 1; i >= 0; i-- { // as in tick
		if s := w.sessions[i]; s.lingering && !s.closed {
			any = true
			s.close()
		}
	}
	return any
}

func (w *worker) add(s *session) {
	if !s.unwelcome {
		s.guest = true
		w.guests++
	}
	s.index = len(w.sessions)
	w.sessions = append(w.sessions, s)
}

// leave gives a session's place to others.
func (w *worker) leave(s *session) {
	if s.guest {
		s.guest = false
		w.guests--
	}
}

func (w *worker) remove(s *session) {
	w.leave(s)
	last := len(w.sessions) - 1
	w.sessions[s.index] = w.sessions[last]
	w.sessions[s.index].index = s.index
	w.sessions[last] = nil
	w.sessions = w.sessions[:last]
}

// drain has all answers from now on be the last of their connection.
func (w *worker) drain() { w.draining = true }

// memorySize is how large memory for input and output is at first; it grows as it must.
const memorySize = 4 << 10

// memory returns memory for input or output.
func (w *worker) memory() []byte {
	last := len(w.memories) - 1
	if last < 0 {
		return make([]byte, 0, memorySize)
	}
	b := w.memories[last]
	w.memories = w.memories[:last]
	return b
}

// unused takes memory back.
func (w *worker) unused(b []byte) {
	if cap(b) == 0 || cap(b) > 4*maxOut || len(w.memories) == 256 {
		return
	}
	w.memories = append(w.memories, b[:0])
}
