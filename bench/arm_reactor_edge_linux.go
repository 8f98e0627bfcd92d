package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// serveReactorEdge is a reactor that is edge-triggered: a connection is registered
// once, for everything, and epoll_ctl is called no more.
func serveReactorEdge() (net.Addr, error) {
	r, addr, err := newReactor(false)
	if err != nil {
		return nil, err
	}
	r.interest, r.ready = unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET, r.edge
	go func() { fatal(r.run()) }()
	return addr, nil
}

// edge serves a connection until there will be another edge: data and the end of
// the stream may have come as one, which RDHUP tells.
func (r *reactor) edge(fd int, events uint32) error {
	r.drain(fd, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	return nil
}
