package main

import (
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
)

// gnetEcho runs in the event loop: what it can't send at once, gnet keeps.
type gnetEcho struct {
	gnet.BuiltinEventEngine
	started chan net.Addr
}

// With SO_REUSEPORT the loop accepts, too. Without it gnet has a second loop for that.
// Its read buffer is 64 KiB, the default.
func serveGnet() (net.Addr, error) {
	// The default logger writes to the standard output, before the address.
	logger, err := zap.NewProduction(zap.IncreaseLevel(zap.ErrorLevel))
	if err != nil {
		return nil, err
	}
	h := &gnetEcho{started: make(chan net.Addr, 1)}
	return run(h.started, func() error {
		return gnet.Run(h, "tcp://"+anyPort,
			gnet.WithNumEventLoop(1),
			gnet.WithReusePort(true),
			gnet.WithLogger(logger.Sugar()))
	})
}

// OnBoot is called when gnet listens.
func (h *gnetEcho) OnBoot(e gnet.Engine) gnet.Action {
	addr, err := gnetAddr(e)
	if err != nil {
		exit(err)
	}
	h.started <- addr
	return gnet.None
}

// gnetAddr asks the listener's descriptor: gnet tells the address it was given.
func gnetAddr(e gnet.Engine) (net.Addr, error) {
	fd, err := e.Dup()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	return ln.Addr(), nil
}

func (*gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	p, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	// A connection that can't be written to is closed by Write.
	_, _ = c.Write(p)
	return gnet.None
}
