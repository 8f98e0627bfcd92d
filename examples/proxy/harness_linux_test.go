package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is a limit that only something broken reaches.
const patience = time.Minute

func TestMain(m *testing.M) { harness.Main(m, main) }

// journal is what a proxy says.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// says waits until a line contains what.
func (j *journal) says(t *testing.T, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(j.String(), what) }, patience, time.Millisecond, what)
}

// served is a proxy that runs.
type served struct {
	*proxy
	said journal
	at   string
	stop context.CancelFunc
	end  func() error // waits for it
}

// usual is the configuration of a test.
func usual(engine string, backends ...string) config {
	return config{engine: engine, listen: "127.0.0.1:0", loops: 1, servers: backends, retries: 3, most: 1000,
		connect: patience, idle: time.Hour, drain: 0, rise: 2, fall: 2}
}

// serve runs a proxy until the test is over.
func serve(t *testing.T, c config) *served {
	s := &served{}
	p, err := newProxy(c, io.Discard, &s.said)
	require.NoError(t, err)
	s.proxy, s.at = p, p.addr.String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	s.stop = stop
	s.end = sync.OnceValue(func() error { return <-ended })
	t.Cleanup(func() {
		stop()
		require.NoError(t, s.end())
		require.Zero(t, p.placed.Load())
		require.Zero(t, p.waiting.Load())
		for _, w := range p.workers {
			require.Empty(t, w.sessions)
			require.Zero(t, w.lent)
		}
		for _, b := range p.balancer.backends() {
			require.Zero(t, b.open.Load(), b)
		}
	})
	return s
}

// behind is a server behind the proxy, of package net.
type behind struct {
	ln    net.Listener
	addr  string
	count atomic.Int64 // connections
	conns sync.WaitGroup
}

// startBackend runs handle for each connection, until the test is over.
func startBackend(t *testing.T, handle func(c *net.TCPConn)) *behind {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return startBackendOn(t, ln, handle)
}

func startBackendOn(t *testing.T, ln net.Listener, handle func(c *net.TCPConn)) *behind {
	b := &behind{ln: ln, addr: ln.Addr().String()}
	b.conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.count.Add(1)
			b.conns.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		b.conns.Wait()
	})
	return b
}

// echo sends back what it receives, to the end.
func echo(c *net.TCPConn) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func connect(t *testing.T, addr string) *net.TCPConn {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.TCPConn)
}

// ask sends b while it receives as much, and checks what comes back. Any goroutine of a
// test may call it.
func ask(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		sent <- err
	}()
	back := make([]byte, len(b))
	_, err := io.ReadFull(c, back)
	assert.NoError(t, err)
	assert.NoError(t, <-sent)
	assert.True(t, bytes.Equal(back, b), "%d bytes came back changed", len(b))
}

func noise(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

func sum(b []byte) [32]byte { return sha256.Sum256(b) }

// sumOf reads to the end.
func sumOf(r io.Reader) (s [32]byte, n int64, err error) {
	h := sha256.New()
	n, err = io.Copy(h, r)
	return [32]byte(h.Sum(nil)), n, err
}

func got[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case <-time.After(patience):
		t.Fatal("it didn't come")
		panic("not reached")
	}
}

// deaf is the address of a listener whose backlog is full: it drops what would connect.
func deaf(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	addr := nameOf(t, fd)
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("its backlog has no end")
	panic("not reached")
}

// refusing is an address where nobody listens. It is bound meanwhile: nobody else gets it.
func refusing(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return nameOf(t, fd)
}

func nameOf(t *testing.T, fd int) string {
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*syscall.SockaddrInet4).Port}).String()
}

// writeList writes a file with a list of backends.
func writeList(t *testing.T, name string, lines ...string) {
	require.NoError(t, os.WriteFile(name+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	require.NoError(t, os.Rename(name+".new", name))
}

func listFile(t *testing.T, lines ...string) string {
	name := filepath.Join(t.TempDir(), "backends")
	writeList(t, name, lines...)
	return name
}

// child is the program as a process of its own.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	said journal
	addr string
}

var firstLine = regexp.MustCompile(`^listening on (\S+), engine (io_uring|epoll \(.+\))\n$`)

// startChild starts the program, with at most so many descriptors if that isn't 0.
func startChild(t *testing.T, descriptors string, args ...string) *child {
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self, args...)}
	if descriptors != "" {
		c.cmd = exec.Command("sh", append([]string{"-c", "ulimit -n " + descriptors + `; exec "$0" "$@"`, self}, args...)...)
	}
	// A binary of the race detector sleeps for a second before it exits.
	c.cmd.Env = append(os.Environ(), harness.ChildVar+"=1", "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = &c.said
	pipe, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(pipe)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	line, err := c.out.ReadString('\n')
	require.NoError(t, err, c.said.String())
	require.Regexp(t, firstLine, line)
	c.addr = firstLine.FindStringSubmatch(line)[1]
	return c
}

// end waits for the child's end, with exit code 0, and returns what it has said.
func (c *child) end(t *testing.T) string {
	rest, err := io.ReadAll(c.out)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.NoError(t, c.cmd.Wait(), "the exit code is 0: %v", c.said.String())
	return c.said.String()
}

func (c *child) signal(t *testing.T, s os.Signal) { require.NoError(t, c.cmd.Process.Signal(s)) }
