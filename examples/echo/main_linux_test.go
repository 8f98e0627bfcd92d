package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { harness.Main(m, main) }

// serve runs a server until the test is over.
func serve(t *testing.T, engine string, buffer int) net.Addr {
	s, err := listen(&config{addr: "127.0.0.1:0", engine: engine, buffer: buffer}, io.Discard)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return s.listener.Addr()
}

func connect(t *testing.T, addr string) *net.TCPConn {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	return c.(*net.TCPConn)
}

// child is the program as a process of its own.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	line string // its first
	addr string
}

var firstLine = regexp.MustCompile(`^listening on (127\.0\.0\.1:\d+), engine (io_uring|epoll \(.+\))\n$`)

func startChild(t *testing.T, args, env []string) *child {
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self, args...)}
	// A binary of the race detector sleeps for a second before it exits.
	c.cmd.Env = append(append(os.Environ(), harness.ChildVar+"=1", "GORACE=atexit_sleep_ms=0"), env...)
	c.cmd.Stderr = os.Stderr
	pipe, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(pipe)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	c.line, err = c.out.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, firstLine, c.line)
	c.addr = firstLine.FindStringSubmatch(c.line)[1]
	return c
}

// end asks the child to end and returns what else it printed, and how long it
// took.
func (c *child) end(t *testing.T, sig os.Signal) (rest string, took time.Duration) {
	start := time.Now()
	require.NoError(t, c.cmd.Process.Signal(sig))
	b, err := io.ReadAll(c.out)
	require.NoError(t, err)
	require.NoError(t, c.cmd.Wait(), "the exit code is 0")
	return string(b), time.Since(start)
}

func TestTheFirstLineIsTheOnlyOne(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, []string{"-addr", "127.0.0.1:0", "-engine", engine}, nil)
		require.Contains(t, c.line, "engine "+engine)
		rest, _ := c.end(t, os.Interrupt)
		require.Empty(t, rest)
	})
}

func TestTheEnvironmentChoosesUnlessTheFlagDoes(t *testing.T) {
	c := startChild(t, []string{"-addr", "127.0.0.1:0"}, []string{"PROACTOR_ENGINE=epoll"})
	require.Contains(t, c.line, "engine epoll (chosen by PROACTOR_ENGINE)")
	c.end(t, os.Interrupt)
	c = startChild(t, []string{"-addr", "127.0.0.1:0", "-engine", "epoll"}, []string{"PROACTOR_ENGINE=io_uring"})
	require.Contains(t, c.line, "engine epoll (chosen by option)")
	c.end(t, os.Interrupt)
}

func TestItEndsWithinASecondOfSIGTERM(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, []string{"-addr", "127.0.0.1:0", "-engine", engine}, nil)
		idle := connect(t, c.addr)
		ask(t, idle, []byte("is accepted"))
		stick(t, connect(t, c.addr))
		connect(t, c.addr) // never says anything
		_, took := c.end(t, syscall.SIGTERM)
		require.Less(t, took, time.Second)
		_, err := idle.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "an idle client sees an orderly end")
	})
}

// stick sends and doesn't receive, until the server can't send either.
func stick(t *testing.T, c *net.TCPConn) {
	require.NoError(t, c.SetReadBuffer(4096))
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
	for b := make([]byte, 1<<20); ; {
		if _, err := c.Write(b); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		}
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"-buf 0", "more", "-no"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
	err := run(context.Background(), &config{addr: "127.0.0.1:0", engine: "kqueue"}, io.Discard, io.Discard)
	require.ErrorContains(t, err, `unknown engine "kqueue"`)
	err = run(context.Background(), &config{addr: "127.0.0.1:99999"}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "listen")
}
