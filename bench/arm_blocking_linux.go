package main

import (
	"net"
	"net/http"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
)

// blockingListener listens by package blocking, whose loop waits in Go's netpoller or
// keeps a thread.
func blockingListener(engine string, netpoller bool) (net.Listener, error) {
	n, err := blocking.New(proactor.WithEngineName(engine), proactor.WithNetpoller(netpoller))
	if err != nil {
		return nil, err
	}
	return n.Listen("tcp", "127.0.0.1:0")
}

// blockingArm is the server of serveNet over package blocking.
func blockingArm(engine string, netpoller bool) serve {
	return func() (net.Addr, error) {
		ln, err := blockingListener(engine, netpoller)
		if err != nil {
			return nil, err
		}
		go acceptEcho(ln, nil)
		return ln.Addr(), nil
	}
}

// helloArms are one handler of net/http over different listeners.
var helloArms = map[string]serve{
	"net":      helloArm(func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }),
	"epoll":    helloArm(func() (net.Listener, error) { return blockingListener("epoll", true) }),
	"io_uring": helloArm(func() (net.Listener, error) { return blockingListener("io_uring", true) }),
}

func helloArm(listen func() (net.Listener, error)) serve {
	return func() (net.Addr, error) {
		ln, err := listen()
		if err != nil {
			return nil, err
		}
		go func() { fatal(http.Serve(ln, http.HandlerFunc(sayHello))) }()
		return ln.Addr(), nil
	}
}

func sayHello(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Date"] = nil // so that each answer is the same
	_, _ = w.Write([]byte("hello"))
}
