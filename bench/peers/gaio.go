package main

import (
	"errors"
	"net"

	"github.com/xtaci/gaio"
)

// serveGaio gives every connection a buffer of its own: to read into the one of the
// watcher saves memory at the cost of speed, says gaio's documentation.
func serveGaio() (net.Addr, error) {
	w, err := gaio.NewWatcher()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		return nil, err
	}
	go func() { exit(errors.Join(errStopped, acceptGaio(w, ln))) }()
	go func() { exit(errors.Join(errStopped, echoGaio(w))) }()
	return ln.Addr(), nil
}

func acceptGaio(w *gaio.Watcher, ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		if err := w.Read(nil, c, make([]byte, bufferSize)); err != nil {
			return err
		}
	}
}

// echoGaio takes the completions. The methods it calls fail only when the watcher
// is closed, which WaitIO then tells.
func echoGaio(w *gaio.Watcher) error {
	for {
		results, err := w.WaitIO()
		if err != nil {
			return err
		}
		for _, r := range results {
			stepGaio(w, r)
		}
	}
}

// stepGaio submits a connection's next operation: it has one at a time, so that it
// is freed once.
func stepGaio(w *gaio.Watcher, r gaio.OpResult) {
	switch {
	case r.Error != nil:
		_ = w.Free(r.Conn)
	case r.Operation == gaio.OpRead:
		_ = w.Write(nil, r.Conn, r.Buffer[:r.Size])
	default:
		_ = w.Read(nil, r.Conn, r.Buffer[:cap(r.Buffer)])
	}
}
