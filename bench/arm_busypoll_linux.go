package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// busyPoller waits for nothing: it asks each connection in turn, again and again.
type busyPoller struct {
	echoer
	ln    int
	conns []int
}

// serveBusyPoll makes raw system calls. There is nothing to tell the scheduler of
// calls that never wait, and most of what this model costs is such calls.
func serveBusyPoll() (net.Addr, error) {
	ln, addr, err := listenTCP(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	b := &busyPoller{ln: ln}
	b.raw, b.unsent = true, map[int][]byte{}
	go func() { fatal(b.run()) }()
	return addr, nil
}

func (b *busyPoller) run() error {
	var y yielder
	for {
		if err := acceptEach(b.ln, unix.SOCK_NONBLOCK, b.add); err != nil {
			return err
		}
		// From the end, as a closed connection's place is taken by the last one.
		for i := len(b.conns) - 1; i >= 0; i-- {
			if b.step(b.conns[i]) == closed {
				last := len(b.conns) - 1
				b.conns[i] = b.conns[last]
				b.conns = b.conns[:last]
			}
		}
		y.yield()
	}
}

func (b *busyPoller) add(fd int) error {
	b.conns = append(b.conns, fd)
	return nil
}
