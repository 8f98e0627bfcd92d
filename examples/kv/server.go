package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

const (
	// flushTime is how long a connection that closes waits for a peer that doesn't read.
	flushTime = 500 * time.Millisecond
	// drainTime is how long the end of the program waits for replies that are under way.
	drainTime = 5 * time.Second
	tickEvery = 100 * time.Millisecond

	// Of buffers for replies as many are kept, up to this size.
	buffersMax = 256
	bufferMax  = 64 << 10
	bufferSize = 4 << 10
)

// server is the data and the connections, on one loop: apart from the making and
// String, all that it has is the loop goroutine's.
type server struct {
	config   *config
	group    *proactor.Group
	loop     *proactor.Loop
	addr     net.Addr
	errs     io.Writer
	data     *data
	log      *appendLog // nil: nothing is kept
	sessions map[*session]struct{}
	waiting  []*session // for the log
	released []*session // the room of the last waiting
	buffers  [][]byte
	table    map[string]*command
	parser   *parser // for requests that come whole
	lower    [16]byte
	scratch  []byte

	outputMax int
	lastID    uint64
	started   time.Time
	commands  uint64 // executed
	accepted  uint64
	rejected  uint64
	holds     uint64 // times that a client was held back
	err       error  // why it ends
}

func listen(c *config, errs io.Writer) (*server, error) {
	opts := []proactor.Option{proactor.WithLinger(flushTime)}
	if c.engine != "" {
		opts = append(opts, proactor.WithEngineName(c.engine))
	}
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: c.loops}, opts...)
	if err != nil {
		return nil, err
	}
	s := &server{
		config: c, group: g, loop: g.Loops()[0], errs: errs, data: newData(),
		sessions: map[*session]struct{}{}, parser: &parser{limits: c.limits}, table: newCommands(),
		outputMax: c.output, started: time.Now(),
	}
	if err = s.open(); err == nil {
		s.addr, err = g.Serve("tcp", c.addr, s.connected)
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return s, nil
}

// open replays the file, if there is one, and starts what is done by the clock.
func (s *server) open() (err error) {
	if s.config.file != "" {
		if s.log, err = openLog(s.loop, s.config, s.data, s.errs); err != nil {
			return err
		}
		s.log.server = s
	}
	_, err = s.loop.Every(tickEvery, func(err error) {
		if err == nil {
			s.data.expireSome()
			s.log.tick()
		}
	})
	return err
}

// String says where the server listens and on which engine; of the fallback,
// why it came to that.
func (s *server) String() string {
	name, why := s.loop.Engine()
	line := fmt.Sprintf("listening on %v, engine %s", s.addr, name)
	if name != "io_uring" {
		line += " (" + why + ")"
	}
	return line
}

// run serves until ctx ends and what is under way has been answered.
func (s *server) run(ctx context.Context) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		limited, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if r, err := s.group.Shutdown(limited); err != nil || r.Cut > 0 {
			fmt.Fprintf(s.errs, "kv: %d connections were cut off (%v)\n", r.Cut, err)
		}
	})
	err := s.group.Run(context.Background())
	if !stop() {
		<-ended
	}
	if s.log != nil {
		err = errors.Join(err, s.log.finish(s.err))
	}
	return errors.Join(s.err, err)
}

// fatal ends the program without another reply.
func (s *server) fatal(err error) {
	if s.err == nil {
		s.err = err
	}
	_ = s.group.Close()
}

func (s *server) connected(c *proactor.Conn, err error) {
	switch {
	case errors.Is(err, proactor.ErrClosed):
	case err != nil:
		fmt.Fprintln(s.errs, "kv:", err) // accepting goes on
	case len(s.sessions) >= s.config.clients:
		s.rejected++
		_, _ = c.Send([]byte("-ERR max number of clients reached\r\n"), nil)
		_ = c.Close(nil)
	default:
		s.accepted++
		n := newSession(s, c)
		s.sessions[n] = struct{}{}
		n.receive()
	}
}

func (s *server) forget(n *session) { delete(s.sessions, n) }

// release has those who wait for the log look again whether they have to.
func (s *server) release() {
	s.waiting, s.released = s.released[:0], s.waiting
	for i, n := range s.released {
		s.released[i] = nil
		n.released()
	}
}

// buffer returns an empty buffer for replies.
func (s *server) buffer() []byte {
	if last := len(s.buffers) - 1; last >= 0 {
		b := s.buffers[last]
		s.buffers = s.buffers[:last]
		return b
	}
	return make([]byte, 0, bufferSize)
}

// keep takes a buffer back.
func (s *server) keep(b []byte) {
	if cap(b) >= bufferSize && cap(b) <= bufferMax && len(s.buffers) < buffersMax {
		s.buffers = append(s.buffers, b[:0])
	}
}
