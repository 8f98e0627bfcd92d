package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// flushTime is how long a connection that closes waits for a peer that doesn't
// read. It keeps the end of the program within a second.
const flushTime = 500 * time.Millisecond

// server owns the loop. Apart from the making and String, all that it has is
// the loop goroutine's.
type server struct {
	loop     *proactor.Loop
	listener *proactor.Listener
	buffer   int
	errs     io.Writer
	sessions map[*session]struct{}
	stopping bool
}

func listen(c *config, errs io.Writer) (*server, error) {
	opts := []proactor.Option{proactor.WithLinger(flushTime)}
	if c.engine != "" {
		opts = append(opts, proactor.WithEngineName(c.engine))
	}
	loop, err := proactor.New(opts...)
	if err != nil {
		return nil, err
	}
	s := &server{loop: loop, buffer: c.buffer, errs: errs, sessions: map[*session]struct{}{}}
	if s.listener, err = loop.Listen("tcp", c.addr); err == nil {
		err = s.listener.AcceptEach(s.accepted)
	}
	if err != nil {
		_ = loop.Close()
		return nil, err
	}
	return s, nil
}

// String says where the server listens and on which engine; of the fallback,
// why it came to that.
func (s *server) String() string {
	name, why := s.loop.Engine()
	line := fmt.Sprintf("listening on %v, engine %s", s.listener.Addr(), name)
	if name != "io_uring" {
		line += " (" + why + ")"
	}
	return line
}

// run serves until ctx ends and the connections are closed.
func (s *server) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.loop.Post(s.stop) })()
	return s.loop.Run(context.Background())
}

func (s *server) accepted(c *proactor.Conn, err error) {
	switch {
	case err == nil && s.stopping:
		_ = c.Abort(nil)
	case err == nil:
		s.start(c)
	case !errors.Is(err, proactor.ErrClosed):
		fmt.Fprintln(s.errs, "echo:", err) // accepting goes on
	}
}

func (s *server) start(c *proactor.Conn) {
	n := newSession(s, c)
	s.sessions[n] = struct{}{}
	n.receive()
}

// stop ends accepting and closes all connections, which flushes what is queued
// to be sent.
func (s *server) stop() {
	s.stopping = true
	_ = s.listener.Close(nil)
	for n := range s.sessions {
		n.close()
	}
	s.endIfIdle()
}

func (s *server) forget(n *session) {
	delete(s.sessions, n)
	s.endIfIdle()
}

func (s *server) endIfIdle() {
	if s.stopping && len(s.sessions) == 0 {
		_ = s.loop.Close()
	}
}
