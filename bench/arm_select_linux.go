package main

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// selector waits in select(2): as poll(2), with sets of bits in place of a list.
type selector struct {
	echoer
	ln       int
	rd, wr   unix.FdSet // what is waited for; a connection is in one of them
	top      int        // the highest descriptor in them
	rds, wrs unix.FdSet // what is ready of it
}

func serveSelect() (net.Addr, error) {
	ln, addr, err := listenTCP(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s := &selector{ln: ln}
	s.unsent = map[int][]byte{}
	if err := s.add(ln); err != nil {
		return nil, err
	}
	go func() { fatal(s.run()) }()
	return addr, nil
}

func (s *selector) run() error {
	for {
		s.rds, s.wrs = s.rd, s.wr
		n, err := unix.Select(s.top+1, &s.rds, &s.wrs, nil, nil)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("select", err)
		}
		for fd := 0; n > 0; fd++ {
			if !s.rds.IsSet(fd) && !s.wrs.IsSet(fd) {
				continue
			}
			n--
			if fd != s.ln {
				s.serve(fd)
			} else if err := acceptEach(s.ln, unix.SOCK_NONBLOCK, s.add); err != nil {
				return err
			}
		}
	}
}

// add ends the server when a descriptor doesn't fit. To close that connection
// alone would let a load go on that has enough others, with figures for fewer
// connections than it says.
func (s *selector) add(fd int) error {
	if fd >= unix.FD_SETSIZE {
		_ = unix.Close(fd)
		return fmt.Errorf("select has no place for descriptor %d: they end at %d", fd, unix.FD_SETSIZE-1)
	}
	s.rd.Set(fd)
	s.top = max(s.top, fd)
	return nil
}

func (s *selector) serve(fd int) {
	waited := s.wr.IsSet(fd)
	switch state := s.step(fd); {
	case state == closed:
		s.rd.Clear(fd)
		s.wr.Clear(fd)
		for !s.rd.IsSet(s.top) && !s.wr.IsSet(s.top) { // the listener is always there
			s.top--
		}
	case state == blocked && !waited:
		s.rd.Clear(fd)
		s.wr.Set(fd)
	case state == more && waited:
		s.wr.Clear(fd)
		s.rd.Set(fd)
	}
}
