package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// What passes through the proxies: backends and clients are one loop of this program, so
// that they cost the core that they share as little as can be.

func init() {
	copies, auto := haproxy("haproxy", ""), haproxy("haproxy-splice-auto", "option splice-auto")
	splices := haproxy("haproxy-splice", "option splice-request\n  option splice-response")
	for _, l := range []struct {
		name, about, unit string
		up, down          int
		traffic
	}{
		{"proxy-echo", "64 B there and back, 64 connections", "request", 64, 64, traffic{conns: 64}},
		{"proxy-stream", "1 MiB from the backend for each byte of the client, 16 connections", "MiB", 1, 1 << 20, traffic{conns: 16}},
		{"proxy-both", "1 MiB there and 1 MiB back, 16 connections", "request", 1 << 20, 1 << 20, traffic{conns: 16}},
		{"proxy-visit", "a connection for each MiB from the backend, 16 at a time", "MiB", 1, 1 << 20, traffic{conns: 16, visits: true}},
	} {
		servers := []server{splices, copies, auto} // its best for streams
		if l.down < 1<<20 {
			servers = []server{copies, auto, splices}
		}
		c := contest{name: l.name, about: l.about, unit: l.unit, servers: append(servers, proxy("io_uring"), proxy("epoll"))}
		c.backend = func() (func(), error) {
			l.ask, l.answer = noise(l.up), noise(l.down)
			return serve(&l.traffic)
		}
		c.load = func(at place, t time.Duration) (work, error) { return l.put(at.Addr, t) }
		contests = append(contests, c)
	}
}

// noise is n bytes that can't be guessed.
func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// proxied are the addresses of the backends.
var proxied = []string{"127.0.0.1:7081", "127.0.0.1:7082"}

func proxy(engine string) server {
	return server{engine, func(at place) (*exec.Cmd, error) {
		args := []string{"-engine", engine, "-addr", at.Addr}
		if relay := os.Getenv("PROACTOR_VERSUS_RELAY"); relay != "" {
			args = append(args, "-relay", relay)
		}
		return ours("proxy", append(args, proxied...)...), nil
	}}
}

// haproxy has one thread, as the others have one loop. Without options it copies; with
// splice-auto it does so, too, with all of these loads (seen with strace, version 2.6.12).
func haproxy(name, options string) server {
	return server{name, func(at place) (*exec.Cmd, error) {
		file := filepath.Join(at.Dir, "haproxy.cfg")
		text := fmt.Sprintf(`global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout client 5m
  timeout server 5m
  %s
listen proxy
  bind %s
  balance roundrobin
  server a %s check
  server b %s check
`, options, at.Addr, proxied[0], proxied[1])
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return exec.Command("haproxy", "-db", "-q", "-f", file), nil
	}}
}

// serve starts the backends. They tell the end of a request by its length.
func serve(t *traffic) (stop func(), err error) {
	if stop, err = t.start(); err != nil {
		return nil, err
	}
	for _, a := range proxied {
		ln, err := t.loop.Listen("tcp", a)
		if err == nil {
			err = ln.AcceptEach(func(c *proactor.Conn, err error) {
				if err == nil {
					newEnd(t, c, t.ask, t.answer).receive()
				}
			})
		}
		if err != nil {
			stop()
			return nil, err
		}
	}
	return stop, nil
}
