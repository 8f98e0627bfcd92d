package main

import (
	"context"
	"errors"
	"net"

	"github.com/cloudwego/netpoll"
)

// The pollers read their configuration when the first one starts, so it is set first.
func configureNetpoll() error {
	return netpoll.Configure(netpoll.Config{PollerNum: 1, BufferSize: bufferSize})
}

func serveNetpoll() (net.Addr, error) {
	if err := configureNetpoll(); err != nil {
		return nil, err
	}
	loop, err := netpoll.NewEventLoop(echoNetpoll)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		return nil, err
	}
	go func() { exit(errors.Join(errStopped, loop.Serve(ln))) }()
	return ln.Addr(), nil
}

// echoNetpoll answers with all that has come. It runs in a goroutine of netpoll's
// pool: Flush may wait for the poller, so the poller itself can't run it.
func echoNetpoll(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	p, err := r.Next(r.Len())
	if err != nil {
		return err
	}
	// Larger ones are written from where they lie: Flush returns when they are sent.
	if _, err := w.WriteBinary(p); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return r.Release()
}
