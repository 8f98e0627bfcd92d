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

// configOf is the configuration of a command line.
func configOf(t *testing.T, engine, addr string, args ...string) *config {
	c, err := parse(append([]string{"-engine", engine, "-addr", addr}, args...), io.Discard)
	require.NoError(t, err)
	return c
}

// serve runs a server. Stop ends it, if the end of the test hasn't, and returns what it
// has done.
func serve(t *testing.T, engine, addr string, args ...string) (s *server, stop func() counts) {
	s, err := listen(configOf(t, engine, addr, args...))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.run(ctx)
		close(ended)
	}()
	stop = func() counts {
		cancel()
		require.NoError(t, <-ended)
		return s.total()
	}
	t.Cleanup(func() { stop() })
	return s, stop
}

// child is the program as a process of its own.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	addr string
}

var firstLine = regexp.MustCompile(`^listening on (.+:\d+), engine (io_uring|epoll \(.+\))\n$`)

func startChild(t *testing.T, args ...string) *child {
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self, args...)}
	// A binary of the race detector sleeps for a second before it exits.
	c.cmd.Env = append(os.Environ(), harness.ChildVar+"=1", "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = os.Stderr
	pipe, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(pipe)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	line, err := c.out.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, firstLine, line)
	c.addr = firstLine.FindStringSubmatch(line)[1]
	return c
}

// end waits for the end of the child, which has been asked for, and returns what else
// it printed.
func (c *child) end(t *testing.T) string {
	b, err := io.ReadAll(c.out)
	require.NoError(t, err)
	require.NoError(t, c.cmd.Wait(), "the exit code is 0")
	return string(b)
}

func TestItEndsWhenWhatHasComeIsAnswered(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		p := startChild(t, "-addr", "127.0.0.1:0", "-engine", engine)
		c := connect(t, p.addr)
		c.exchange(t, 10)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
		var sent [][]byte
		for range 100 { // wait in the socket
			sent = append(sent, c.send(t, 500))
		}
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
		for _, b := range sent {
			c.receive(t, b)
		}
		require.Equal(t, "101 datagrams echoed, 50010 bytes; 0 too long, 0 not sent\n", p.end(t))
	})
}

func TestItEndsThoughMoreKeepsComing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes drainTime")
	}
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s, stop := serve(t, engine, "127.0.0.1:0")
		p := connect(t, s.addr().String())
		p.exchange(t, 100)
		enough := make(chan struct{})
		flooding, flooded := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(flooded)
			b := noise(100)
			for i := 0; ; i++ {
				if i == 1000 {
					close(flooding)
				}
				select {
				case <-enough:
					return
				default:
					_, _ = p.Write(b) // refused when the server is closed
				}
			}
		}()
		<-flooding
		require.NotZero(t, stop().echoed)
		close(enough)
		<-flooded
	})
}

func TestASignalEndsAnIdleServer(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			p := startChild(t, "-addr", "127.0.0.1:0", "-engine", engine, "-loops", "2")
			require.NoError(t, p.cmd.Process.Signal(sig))
			require.Equal(t, "0 datagrams echoed, 0 bytes; 0 too long, 0 not sent\n", p.end(t))
		}
	})
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"-size 0", "-size 70000", "-loops -1", "-rcvbuf 0", "more", "-no"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
	for engine, addr := range map[string]string{"kqueue": "127.0.0.1:0", "epoll": "127.0.0.1:99999"} {
		require.Error(t, run(context.Background(), configOf(t, engine, addr), io.Discard))
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	for _, loops := range []string{"1", "2"} { // several may share it, if all want to
		_, err = listen(configOf(t, "epoll", other.LocalAddr().String(), "-loops", loops))
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	}
}

func TestASocketThatFailsEndsTheServer(t *testing.T) {
	s, err := listen(configOf(t, "epoll", "127.0.0.1:0", "-loops", "2"))
	require.NoError(t, err)
	s.fail(io.ErrUnexpectedEOF)
	require.ErrorIs(t, s.run(context.Background()), io.ErrUnexpectedEOF)
}

// netcats are tools that send what they read, each piece as a datagram, and print what
// they receive.
var netcats = []struct {
	tool string
	args func(host, port string) []string
}{
	{"nc", func(host, port string) []string { return []string{"-u", host, port} }},
	{"socat", func(host, port string) []string {
		if strings.Contains(host, ":") {
			return []string{"-", "UDP6:[" + host + "]:" + port}
		}
		return []string{"-", "UDP:" + host + ":" + port}
	}},
}

func TestNetcats(t *testing.T) {
	for _, n := range netcats {
		tool, err := exec.LookPath(n.tool)
		if err != nil && os.Getenv("PROACTOR_CI") == "" {
			t.Log("skipped, not here: ", n.tool)
			continue
		}
		require.NoError(t, err)
		harness.EachEngine(t, func(t *testing.T, engine string) {
			for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
				host, port, err := net.SplitHostPort(startChild(t, "-addr", at, "-engine", engine).addr)
				require.NoError(t, err)
				talk(t, tool, n.args(host, port))
			}
		})
	}
}

// talk has a tool send lines and compares what it prints.
func talk(t *testing.T, tool string, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r := bufio.NewReader(out)
	for i := range 100 {
		line := strings.Repeat(string(rune('a'+i%26)), 70*i) + "\n"
		_, err := io.WriteString(in, line)
		require.NoError(t, err)
		back, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, line, back)
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed: it would wait for more
}
