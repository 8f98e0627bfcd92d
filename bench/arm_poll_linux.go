package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// poller waits in poll(2): the kernel gets the list of all descriptors each time,
// and the server looks through it for those that are ready.
type poller struct {
	echoer
	fds []unix.PollFd // the first is the listener
}

func servePoll() (net.Addr, error) {
	ln, addr, err := listenTCP(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	p := &poller{fds: []unix.PollFd{{Fd: int32(ln), Events: unix.POLLIN}}}
	p.unsent = map[int][]byte{}
	go func() { fatal(p.run()) }()
	return addr, nil
}

func (p *poller) run() error {
	for {
		n, err := unix.Poll(p.fds, -1)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		// From the end, as a closed connection's place is taken by the last one.
		for i := len(p.fds) - 1; i > 0 && n > 0; i-- {
			if p.fds[i].Revents != 0 {
				n--
				p.serve(i)
			}
		}
		if n > 0 {
			if err := acceptEach(int(p.fds[0].Fd), unix.SOCK_NONBLOCK, p.add); err != nil {
				return err
			}
		}
	}
}

func (p *poller) add(fd int) error {
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	return nil
}

func (p *poller) serve(i int) {
	switch p.step(int(p.fds[i].Fd)) {
	case closed:
		last := len(p.fds) - 1
		p.fds[i] = p.fds[last]
		p.fds = p.fds[:last]
	case blocked:
		p.fds[i].Events = unix.POLLOUT
	default:
		p.fds[i].Events = unix.POLLIN
	}
}
