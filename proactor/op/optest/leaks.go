//go:build linux

package optest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// netConn makes a descriptor a connection of package net, closed with the test.
func (e *env) netConn(fd int) net.Conn {
	e.Helper()
	f := os.NewFile(uintptr(fd), "peer")
	defer f.Close()
	c, err := net.FileConn(f)
	require.NoError(e, err)
	e.Cleanup(func() { c.Close() })
	require.NoError(e, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// Main is a TestMain that fails when the tests leave descriptors open or
// goroutines running.
func Main(m *testing.M) {
	if os.Getenv(passerVariable) != "" {
		if err := passer(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if code := os.Getenv(childVariable); code != "" {
		child(code)
	}
	if os.Getenv(futexVariable) != "" {
		futexChild()
	}
	before := Descriptors()
	code := m.Run()
	if code == 0 {
		if left := leaked(before); left != "" {
			fmt.Println("FAIL: leaked:\n" + left)
			code = 1
		}
	}
	os.Exit(code)
}

// leaked describes what is left, after giving what is ending time to end. It looks
// again and again: no event tells that a goroutine is gone or a descriptor closed.
func leaked(before map[string]string) (left string) {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // no event tells
		if left = newDescriptors(before) + ourGoroutines(); left == "" || time.Now().After(end) {
			return left
		}
	}
}

// Descriptors returns the process's open descriptors and what they are.
func Descriptors() map[string]string {
	all := map[string]string{}
	names, _ := os.ReadDir("/proc/self/fd")
	for _, n := range names {
		if to, err := os.Readlink("/proc/self/fd/" + n.Name()); err == nil {
			all[n.Name()] = to
		}
	}
	return all
}

func newDescriptors(before map[string]string) (left string) {
	for fd, to := range Descriptors() {
		// The Go runtime's own epoll and eventfd come with the first net.Conn.
		if before[fd] == "" && !strings.Contains(to, "/proc/") && !runtimeOwns(to) {
			left += "descriptor " + fd + " " + to + "\n"
		}
	}
	return left
}

// runtimeFDs are what the Go runtime's netpoller keeps open, once each.
var runtimeFDs = map[string]bool{"anon_inode:[eventpoll]": true, "anon_inode:[eventfd]": true}

func runtimeOwns(to string) bool { return runtimeFDs[to] }

func ourGoroutines() (left string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, g := range strings.Split(string(buf), "\n\n")[1:] {
		if strings.Contains(g, "go-proactor/") && !strings.Contains(g, "testing.(*M)") {
			left += g + "\n"
		}
	}
	return left
}
