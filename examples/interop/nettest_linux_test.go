package interop

import (
	"context"
	"net"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"golang.org/x/net/nettest"
)

// The conformance tests of net.Conn, on connections of which both ends are ours, and
// of which one is package net's.
func TestConnectionsPassNettest(t *testing.T) {
	eachDriver(t, func(t *testing.T, n *blocking.Net) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
					return pair(t, network, n.Listen, func(network, address string) (net.Conn, error) {
						return n.Dial(context.Background(), network, address)
					})
				})
			})
		}
		t.Run("against net", func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				return pair(t, "tcp", n.Listen, net.Dial)
			})
		})
	})
}

// pair makes two ends of a connection.
func pair(t *testing.T, network string, listen func(string, string) (net.Listener, error), dial func(string, string) (net.Conn, error)) (a, b net.Conn, stop func(), err error) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = t.TempDir() + "/socket"
	}
	ln, err := listen(network, address)
	if err != nil {
		return nil, nil, nil, err
	}
	defer ln.Close()
	type result struct {
		c   net.Conn
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := ln.Accept()
		accepted <- result{c, err}
	}()
	if a, err = dial(network, ln.Addr().String()); err != nil {
		return nil, nil, nil, err
	}
	r := <-accepted
	if r.err != nil {
		a.Close()
		return nil, nil, nil, r.err
	}
	return a, r.c, func() { a.Close(); r.c.Close() }, nil
}
