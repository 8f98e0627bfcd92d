package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSIGTERMLetsTheSessionsEnd(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		b := startBackend(t, echo)
		c := startChild(t, "", "-addr", "127.0.0.1:0", "-engine", engine, b.addr)
		conn := connect(t, c.addr)
		ask(t, conn, noise(1000))
		c.signal(t, syscall.SIGTERM)
		require.Eventually(t, func() bool {
			other, err := net.Dial("tcp", c.addr)
			if err == nil {
				other.Close()
			}
			return err != nil
		}, patience, time.Millisecond, "it stops listening")
		ask(t, conn, noise(1<<20))
		require.NoError(t, conn.CloseWrite())
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		said := c.end(t)
		require.Contains(t, said, "sessions ")
		require.Contains(t, said, b.addr+" up open 0 served ")
		require.NotContains(t, said, "cut off")
	})
}

func TestADrainHasALimit(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, "", "-addr", "127.0.0.1:0", "-engine", engine, "-drain", "100ms", startBackend(t, echo).addr)
		ask(t, connect(t, c.addr), noise(1000))
		c.signal(t, syscall.SIGTERM)
		require.Contains(t, c.end(t), "cut off 2 connections that hadn't ended in 100ms")
	})
}

func TestASecondSignalKills(t *testing.T) {
	c := startChild(t, "", "-addr", "127.0.0.1:0", startBackend(t, echo).addr)
	ask(t, connect(t, c.addr), noise(1000))
	c.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		return c.cmd.Process.Signal(syscall.Signal(0)) == nil && dead(c.cmd.Process.Pid)
	}, patience, 10*time.Millisecond)
	require.Error(t, c.cmd.Wait())
}

// dead reports whether a child waits to be waited for.
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(b, []byte(") Z "))
}

func TestSIGHUPAndSIGUSR1(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		a, b := named(t, "a").addr, named(t, "b").addr
		file := listFile(t, a)
		c := startChild(t, "", "-addr", "127.0.0.1:0", "-engine", engine, "-loops", "2", "-backends", file)
		require.Equal(t, "a", whose(t, connect(t, c.addr)))
		writeList(t, file, b)
		c.signal(t, syscall.SIGHUP)
		c.said.says(t, "reload: 1 backends, 1 of them new; 1 removed")
		require.Equal(t, "b", whose(t, connect(t, c.addr)))
		writeList(t, file, "nonsense")
		c.signal(t, syscall.SIGHUP)
		c.said.says(t, "the old list stays")
		c.signal(t, syscall.SIGUSR1)
		c.said.says(t, b+" up open 1 served 1 failures 0")
		c.signal(t, syscall.SIGKILL)
	})
}

// A proxy with few descriptors serves more clients than it has room for, one after the
// other.
func TestFewDescriptorsAreALimitOnSessions(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, "128", "-addr", "127.0.0.1:0", "-max", "1000", "-engine", engine, "-connect", "1m", named(t, "a").addr)
		c.said.says(t, "sessions only (ulimit -n)")
		crowd(t, c, 60, true)
	})
}

// The descriptors end although the limit says that there are more: clients wait for those
// before them, or are turned away, and the others are served.
func TestALackOfDescriptorsPasses(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, "", "-addr", "127.0.0.1:0", "-engine", engine, "-connect", "1m", named(t, "a").addr)
		few := unix.Rlimit{Cur: 40, Max: 40}
		require.NoError(t, unix.Prlimit(c.cmd.Process.Pid, unix.RLIMIT_NOFILE, &few, nil))
		if crowd(t, c, 60, false) < 60 {
			c.said.says(t, "too many open files")
		}
	})
}

// crowd has so many clients come at once. Each leaves when it, or another, was served. It
// returns how many were.
func crowd(t *testing.T, c *child, clients int, all bool) int {
	served, leave := make(chan bool, clients), make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			conn, err := net.Dial("tcp", c.addr)
			if err == nil {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, err = io.ReadFull(conn, make([]byte, 1))
			}
			if err == nil {
				ask(t, conn, noise(100_000))
			} else {
				assert.ErrorIs(t, err, syscall.ECONNRESET)
			}
			served <- err == nil
			<-leave
		})
	}
	n := 0
	for range clients { // each who is served leaves, and makes room
		if got(t, served) {
			n++
		}
		leave <- struct{}{}
	}
	wg.Wait()
	t.Log(n, "of", clients, "were served")
	if all {
		require.Equal(t, clients, n)
	}
	require.Positive(t, n)
	last := connectTo(t, c.addr, "a")
	ask(t, last, noise(1000))
	last.Close()
	c.signal(t, syscall.SIGTERM)
	require.Contains(t, c.end(t), "waiting 0")
	return n
}

// connectTo connects to a backend that says its name.
func connectTo(t *testing.T, at, name string) net.Conn {
	conn := connect(t, at)
	require.Equal(t, name, whose(t, conn))
	return conn
}

// tool returns the path of a program that CI installs.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("PROACTOR_CI") == "" {
		t.Skip("no ", name, " here")
	}
	require.NoError(t, err)
	return path
}

func output(t *testing.T, stdin io.Reader, name string, args ...string) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, name), args...)
	cmd.Stdin = stdin
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

func TestCurlFetchesAndSendsThroughIt(t *testing.T) {
	page := noise(5 << 20)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s, n, err := sumOf(r.Body)
			fmt.Fprintf(w, "%x %d %v", s, n, err)
			return
		}
		_, _ = w.Write(page)
	}))
	defer web.Close()
	harness.EachEngine(t, func(t *testing.T, engine string) {
		url := "http://" + serve(t, usual(engine, web.Listener.Addr().String())).at + "/"
		out := output(t, nil, "curl", "-sS", url, url, url)
		require.Equal(t, sum(bytes.Repeat(page, 3)), sum(out))
		out = output(t, bytes.NewReader(page), "curl", "-sS", "--data-binary", "@-", url)
		require.Equal(t, fmt.Sprintf("%x %d <nil>", sum(page), len(page)), string(out))
		dir := t.TempDir()
		output(t, nil, "curl", "-sS", "-Z", "--parallel-immediate", "-o", dir+"/#1", url+"[1-8]")
		for i := 1; i <= 8; i++ {
			b, err := os.ReadFile(fmt.Sprint(dir, "/", i))
			require.NoError(t, err)
			require.Equal(t, sum(page), sum(b))
		}
	})
}

// Netcat and socat end their side at the end of their input, and wait for the answer.
func TestToolsThatEndTheirSideFirst(t *testing.T) {
	question := noise(3 << 20)
	b := startBackend(t, func(c *net.TCPConn) {
		s, n, err := sumOf(c)
		fmt.Fprintf(c, "%x %d %v", s, n, err)
	})
	want := fmt.Sprintf("%x %d <nil>", sum(question), len(question))
	harness.EachEngine(t, func(t *testing.T, engine string) {
		at := serve(t, usual(engine, b.addr)).at
		host, port, err := net.SplitHostPort(at)
		require.NoError(t, err)
		require.Equal(t, want, string(output(t, bytes.NewReader(question), "nc", "-N", host, port)))
		require.Equal(t, want, string(output(t, bytes.NewReader(question), "socat", "-t60", "-", "TCP:"+at)))
	})
}
