package main

import (
	"net"

	"github.com/pawelgaczynski/gain"
	"github.com/pawelgaczynski/gain/logger"
	"github.com/pawelgaczynski/gain/pkg/buffer/magicring"
	"golang.org/x/sys/unix"
)

// gainEcho runs in the worker, which sends the answer when OnRead returns, and
// receives again when all of it is sent.
type gainEcho struct {
	gain.DefaultEventHandler
	addr    net.Addr
	started chan net.Addr
}

// With socket sharding the worker accepts, too: one ring for all. The other
// architecture has a second ring for that.
//
// After a round of 32 completions or more, gain waits for 32, or 1 ms. It takes that
// back when such a wait times out, but doesn't see that it did if the call submitted
// something: the kernel then returns how much. As gain accepts one connection in a
// round, churn can stay at one in a ms or two, nearly all of it spent waiting, as a
// matter of luck. Rounds of 31 at most (WithMaxCQEvents) keep it from waiting.
func serveGain(more ...gain.ConfigOption) (net.Addr, error) {
	magicring.MinRead = bufferSize // room for a receive; more would be zeroed at each close
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	h := gainEcho{addr: addr, started: make(chan net.Addr, 1)}
	return run(h.started, func() error {
		return gain.ListenAndServe("tcp://"+addr.String(), h, append(more,
			gain.WithArchitecture(gain.SocketSharding),
			gain.WithWorkers(1),
			gain.WithLoggerLevel(logger.ErrorLevel),
			// Pretty is what writes to the standard error. The other logger
			// writes to the standard output, which nobody may read.
			gain.WithPrettyLogger(true))...)
	})
}

// freeAddr is an address that was free just now: gain doesn't tell which it got.
func freeAddr() (net.Addr, error) {
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		return nil, err
	}
	return ln.Addr(), ln.Close()
}

// OnStart is called when gain listens.
func (h gainEcho) OnStart(gain.Server) { h.started <- h.addr }

// OnRead takes all there is: n counts the last receive only, but gain calls OnRead
// after several if more lay in the socket.
func (gainEcho) OnRead(c gain.Conn, _ int) {
	p, err := c.Next(-1)
	if err == nil {
		_, err = c.Write(p)
	}
	if err != nil {
		_ = c.Close()
	}
}

// OnClose closes what gain leaves open: when the peer ends the connection, gain only
// shuts the socket down and says io.EOF. Without an error it has closed it. Close of
// gain.Conn is no way to do it, as the connection counts as closed already.
//
// One that is reset stays open for good: gain logs a completion that has an error, and
// calls nobody (workerImpl.processEvent).
func (gainEcho) OnClose(c gain.Conn, err error) {
	if err != nil {
		_ = unix.Close(c.Fd())
	}
}
