package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { harness.Main(m, main) }

// said collects what a server says.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is a server of this process.
type running struct {
	*server
	at   string
	said *said
	end  func() error // ends it, once, and returns what run has returned
}

// serve runs a server until the test is over, or end is called.
func serve(t *testing.T, engine string, flags ...string) *running {
	c, err := parse(append([]string{"-addr", "127.0.0.1:0", "-engine", engine}, flags...), io.Discard)
	require.NoError(t, err)
	r := &running{said: new(said)}
	r.server, err = listen(c, r.said)
	require.NoError(t, err)
	r.at = r.addr.String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	r.end = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	t.Cleanup(func() { _ = r.end() })
	return r
}

// on runs f while the loop stands still, and on the goroutine of the test, which f may end.
func (r *running) on(t *testing.T, f func()) {
	stands, done := make(chan struct{}), make(chan struct{})
	if err := r.loop.Post(func() { close(stands); <-done }); err != nil {
		require.FailNow(t, "the server has ended", "%v: %v", err, r.end())
	}
	defer close(done) // also if f ends the test
	<-stands
	f()
}

// until waits for what f reports, while the loop stands still.
func (r *running) until(t *testing.T, what string, f func() bool) {
	for end := time.Now().Add(patience); ; {
		ok := false
		r.on(t, func() { ok = f() })
		if ok {
			return
		}
		require.True(t, time.Now().Before(end), "waited in vain: %s", what)
	}
}

// child is the program as a process of its own.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	said *said
	line string // its first
	at   string
}

var firstLine = regexp.MustCompile(`^listening on (127\.0\.0\.1:\d+), engine (io_uring|epoll \(.+\))\n$`)

func startChild(t *testing.T, args ...string) *child {
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self, append([]string{"-addr", "127.0.0.1:0"}, args...)...), said: new(said)}
	// A binary of the race detector sleeps for a second before it exits.
	c.cmd.Env = append(os.Environ(), harness.ChildVar+"=1", "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = c.said
	pipe, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(pipe)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	c.line, err = c.out.ReadString('\n')
	require.NoError(t, err, "%s", c.said)
	require.Regexp(t, firstLine, c.line)
	c.at = firstLine.FindStringSubmatch(c.line)[1]
	return c
}

// end asks the child to end, and returns what else it printed.
func (c *child) end(t *testing.T, sig os.Signal) string {
	require.NoError(t, c.cmd.Process.Signal(sig))
	b, err := io.ReadAll(c.out)
	require.NoError(t, err)
	require.NoError(t, c.cmd.Wait(), "the exit code is 0")
	return string(b)
}

// kill kills the child.
func (c *child) kill(t *testing.T) {
	require.NoError(t, c.cmd.Process.Kill())
	_ = c.cmd.Wait()
}

func TestItEndsInOrderAndKeepsWhatItHad(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, fsync := range []policy{always, everysec, never} {
			file := filepath.Join(t.TempDir(), "log")
			args := []string{"-engine", engine, "-file", file, "-fsync", string(fsync)}
			c := startChild(t, args...)
			require.Contains(t, c.line, "engine "+engine)
			n := connect(t, c.at)
			require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
			require.Equal(t, "OK", n.must(t, "SET", "b", "2", "EX", "1000"))
			require.Equal(t, int64(2), n.must(t, "INCR", "a"))
			idle := connect(t, c.at)
			require.Equal(t, "PONG", idle.must(t, "PING"))
			require.Empty(t, c.end(t, syscall.SIGTERM))
			_, err := idle.reply()
			require.ErrorIs(t, err, io.EOF, "an idle client sees an orderly end")
			require.Empty(t, c.said.String())

			// Nothing is left of the room in front of the log.
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			d := newData()
			good, torn, err := d.replay(bytes.NewReader(b), int64(len(b)), false)
			require.NoError(t, err)
			require.False(t, torn)
			require.EqualValues(t, len(b), good)

			c = startChild(t, args...)
			n = connect(t, c.at)
			require.Equal(t, []any{"2", "2"}, n.must(t, "MGET", "a", "b"))
			require.InDelta(t, 1000, n.must(t, "TTL", "b"), patience.Seconds())
			require.Equal(t, int64(2), n.must(t, "DBSIZE"))
			c.end(t, os.Interrupt)
		}
	})
}

func TestAFileIsForOneServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	serve(t, "epoll", "-file", file)
	c, err := parse([]string{"-addr", "127.0.0.1:0", "-file", file}, io.Discard)
	require.NoError(t, err)
	_, err = listen(c, io.Discard)
	require.ErrorContains(t, err, "another process uses it")
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"-fsync sometimes", "more", "-no", "-maxclients 0", "-max-bulk 10 -max-request 5", "-compact 0"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
	var errs bytes.Buffer
	_, err := parse([]string{"-loops", "2"}, &errs)
	require.ErrorIs(t, err, errLoops)
	require.Contains(t, errs.String(), "the data belong to one loop")
	c, err := parse([]string{"-addr", "127.0.0.1:0", "-engine", "kqueue"}, io.Discard)
	require.NoError(t, err)
	_, err = listen(c, io.Discard)
	require.ErrorContains(t, err, `unknown engine "kqueue"`)
	c.engine, c.addr = "", "127.0.0.1:99999"
	_, err = listen(c, io.Discard)
	require.ErrorContains(t, err, "listen")
	c.addr, c.file = "127.0.0.1:0", "/no/such/directory/log"
	_, err = listen(c, io.Discard)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestATornFileIsMendedAndADamagedOneRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	whole, ends, states := sample()
	require.NoError(t, os.WriteFile(file, whole[:len(whole)-3], 0o600))
	s := serve(t, "epoll", "-file", file)
	require.Contains(t, s.said.String(), "its end is torn: cut off behind the last whole batch, at byte")
	require.Equal(t, states[len(states)-2], contents(s.data))
	require.NoError(t, s.end())

	for name, at := range map[string]int{"length": 1, "its checksum": 5, "checksum": 9, "record": batchHead + 3} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			broken := bytes.Clone(whole)
			broken[ends[1]+at]++
			require.NoError(t, os.WriteFile(file, broken, 0o600))
			c, err := parse([]string{"-addr", "127.0.0.1:0", "-file", file}, io.Discard)
			require.NoError(t, err)
			_, err = listen(c, io.Discard)
			require.ErrorIs(t, err, errCorrupt)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, broken, b, "it is left as it is")
			s := serve(t, "epoll", "-file", file, "-repair")
			require.Equal(t, states[1], contents(s.data))
			require.NoError(t, s.end())
			b, err = os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, whole[:ends[1]], b)
		})
	}
}
