package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// server is the loops, each with a worker of its own: they share nothing but the log.
type server struct {
	config  *config
	group   *proactor.Group
	workers []*worker
	addr    net.Addr
	log     *os.File
	errs    io.Writer
	mu      sync.Mutex   // of errs
	said    atomic.Int64 // when the last message was, in ns
}

func listen(c *config, errs io.Writer) (*server, error) {
	s := &server{config: c, errs: errs}
	if err := s.open(); err != nil {
		s.closeFiles()
		return nil, err
	}
	return s, nil
}

func (s *server) open() (err error) {
	c := s.config
	if c.log != "" {
		if s.log, err = os.OpenFile(c.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err != nil {
			return err
		}
	}
	// A client that reads slowly shall have few of the loop's Buffers: there is no need of
	// more, what it has sent is copied while it waits.
	opts := []proactor.Option{proactor.WithLinger(c.send), proactor.WithQuota(4)}
	if c.engine != "" {
		opts = append(opts, proactor.WithEngineName(c.engine))
	}
	if s.group, err = proactor.NewGroup(proactor.GroupOptions{Loops: c.loops}, opts...); err != nil {
		return err
	}
	for _, l := range s.group.Loops() {
		w, err := newWorker(s, l)
		if err != nil {
			return errors.Join(err, s.group.Close())
		}
		s.workers = append(s.workers, w)
	}
	s.addr, err = s.group.Serve("tcp", c.addr, s.accepted)
	return err
}

func (s *server) closeFiles() {
	if s.log != nil {
		_ = s.log.Close()
	}
}

// String says where the server listens and on which engine; of the fallback, why it came
// to that.
func (s *server) String() string {
	name, why := s.group.Loops()[0].Engine()
	line := fmt.Sprintf("listening on %v, engine %s", s.addr, name)
	if name != "io_uring" {
		line += " (" + why + ")"
	}
	return line
}

// run serves until ctx ends and the requests under way are answered.
func (s *server) run(ctx context.Context) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		s.drain()
	})
	err := s.group.Run(context.Background())
	if !stop() {
		<-ended
	}
	for _, w := range s.workers {
		w.log.rest()
	}
	s.closeFiles()
	return err
}

// drain answers what is under way, the last of each connection with Connection: close,
// and ends the loops.
func (s *server) drain() {
	for _, w := range s.workers {
		_ = w.loop.Post(w.drain)
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.config.drain)
	defer cancel()
	report, err := s.group.Shutdown(ctx)
	if report.Cut > 0 {
		err = errors.Join(err, fmt.Errorf("%d connections were cut off", report.Cut))
	}
	if err != nil {
		s.complain(err)
	}
}

// complain says what went wrong, at most once a second.
func (s *server) complain(err error) {
	now := time.Now().UnixNano()
	if last := s.said.Load(); now-last < int64(time.Second) || !s.said.CompareAndSwap(last, now) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.errs, "httpd:", err)
}

// accepted gets the connections of all loops, each on its own goroutine.
func (s *server) accepted(c *proactor.Conn, err error) {
	for _, w := range s.workers {
		if c != nil && c.Loop() == w.loop || c == nil && w.loop.Inside() {
			w.accepted(c, err)
			return
		}
	}
}
