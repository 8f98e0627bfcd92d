package main

import (
	"net"
	"os"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
)

// serveNbio has the poller read and answer, with levels, which is nbio's default.
// So is its read buffer of 64 KiB: a larger one than the largest requests spares
// the read that finds nothing.
func serveNbio() (net.Addr, error) {
	// The logger writes to the standard output, before the address.
	logging.Output = os.Stderr
	logging.SetLevel(logging.LevelError)
	e := nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{anyPort}, NPoller: 1})
	e.OnData(echoNbio)
	if err := e.Start(); err != nil {
		return nil, err
	}
	// Start puts the addresses it got in the place of those it was given.
	return net.ResolveTCPAddr("tcp", e.Addrs[0])
}

// echoNbio runs in the poller. Write copies what the socket doesn't take, and
// closes a connection that can't be written to.
func echoNbio(c *nbio.Conn, p []byte) { _, _ = c.Write(p) }
