package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
)

func init() {
	contests = append(contests, contest{
		name:    "hello",
		about:   "net/http over net and over package blocking, wrk with 64 connections",
		unit:    "request",
		servers: []server{helloServer("net"), helloServer("epoll"), helloServer("io_uring")},
		load:    func(at place, t time.Duration) (work, error) { return wrk(at, "/", 64, t) },
	})
}

// helloVar has this program be a server of net/http.
const helloVar = "PROACTOR_VERSUS_HELLO"

func helloServer(over string) server {
	return server{over, func(at place) (*exec.Cmd, error) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), helloVar+"="+over+" "+at.Addr)
		return cmd, nil
	}}
}

func serveHello(over, addr string) error {
	ln, err := helloListener(over, addr)
	if err != nil {
		return err
	}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
}

func helloListener(over, addr string) (net.Listener, error) {
	if over == "net" {
		return net.Listen("tcp", addr)
	}
	n, err := blocking.New(proactor.WithEngineName(over), proactor.WithNetpoller(true))
	if err != nil {
		return nil, err
	}
	return n.Listen("tcp", addr)
}
