package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// backend is one server behind the proxy. All loops share it.
type backend struct {
	line    string // of the list, in its usual form: it tells backends apart
	network string // "tcp" or "unix"
	address string
	max     int64 // connections at most, 0 is no limit
	header  int   // version of the PROXY protocol that it wants to hear, 0 is none

	open     atomic.Int64 // connections, those that are being made included
	served   atomic.Int64 // connections that were made
	failures atomic.Int64 // connects that failed
	row      atomic.Int32 // of them, how many since the last success
	down     atomic.Bool
	removed  atomic.Bool // it isn't in the list any more
}

// take counts a connection, unless there are as many as there may be.
func (b *backend) take() bool {
	if n := b.open.Add(1); b.max > 0 && n > b.max {
		b.open.Add(-1)
		return false
	}
	return true
}

func (b *backend) String() string { return b.line }

func (b *backend) state() string {
	if b.down.Load() {
		return "down"
	}
	return "up"
}

// parseBackends reads a list of backends, one in a line:
//
//	127.0.0.1:9001                      # an address; what is behind a # is a comment
//	[::1]:9002 max=100 send-proxy=v2    # with options
//	unix:/run/app.sock send-proxy=v1
//
// An error names the line.
func parseBackends(text string) ([]*backend, error) {
	var all []*backend
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		b, err := parseBackend(fields)
		if err == nil && slices.ContainsFunc(all, func(other *backend) bool { return other.address == b.address }) {
			err = fmt.Errorf("%s is there twice", b.address)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, errors.New("no backend")
	}
	return all, nil
}

func parseBackend(fields []string) (*backend, error) {
	b := &backend{network: "tcp", address: fields[0]}
	if path, ok := strings.CutPrefix(b.address, "unix:"); ok {
		b.network, b.address = "unix", path
		if path == "" || len(path) > 107 {
			return nil, fmt.Errorf("%q is no name of a socket", path)
		}
	} else if err := checkAddress(b.address); err != nil {
		return nil, err
	}
	for _, o := range fields[1:] {
		if err := b.option(o); err != nil {
			return nil, err
		}
	}
	b.line = b.render()
	return b, nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("%s: want host:port", address)
	}
	return nil
}

func (b *backend) option(o string) error {
	name, value, _ := strings.Cut(o, "=")
	switch {
	case name == "max":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 {
			return fmt.Errorf("%s: want a number of connections", o)
		}
		b.max = int64(n)
	case o == "send-proxy=v1":
		b.header = 1
	case o == "send-proxy=v2":
		b.header = 2
	default:
		return fmt.Errorf("%s: no such option", o)
	}
	return nil
}

// render returns the line of the list that means b.
func (b *backend) render() string {
	line := b.address
	if b.network == "unix" {
		line = "unix:" + line
	}
	if b.max > 0 {
		line += fmt.Sprint(" max=", b.max)
	}
	if b.header > 0 {
		line += fmt.Sprint(" send-proxy=v", b.header)
	}
	return line
}

// readBackends reads the list from a file.
func readBackends(name string) ([]*backend, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	all, err := parseBackends(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}
