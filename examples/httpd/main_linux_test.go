package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
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

// patience is for what happens at once, unless the machine is very busy.
const patience = time.Minute

func takesSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
}

// needTool returns the path of a program; .ci/packages has it.
func needTool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("PROACTOR_CI") == "" {
		t.Skip(name, " is not installed")
	}
	require.NoError(t, err)
	return path
}

// site is a directory to be served.
type site struct {
	dir   string
	files map[string][]byte // by their path
}

// bigSize is more than two sockets take while nobody reads.
const bigSize = 12<<20 + 17

func plant(t *testing.T) *site {
	s := &site{t.TempDir(), map[string][]byte{}}
	for path, n := range map[string]int{
		"/empty.txt": 0, "/one.txt": 1, "/small.html": 1000, "/kept.css": maxKept, "/open.js": maxKept + 1, "/64k.bin": 64 << 10, "/big.png": bigSize,
		"/noext": 100, "/bignoext": 100_000, "/dir/index.html": 50, "/list/a b.txt": 3, "/list/<i>&\"'.txt": 4, "/list/a:b": 5, "/list/sub/x": 6, "/list/%2e%2e": 7,
		"/list/line\nbreak": 8, "/list/index.html/x": 9, "/.hidden": 10,
	} {
		s.add(t, path, noise(n))
	}
	require.NoError(t, os.Symlink("small.html", filepath.Join(s.dir, "link.html")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(s.dir, "absolute")))
	require.NoError(t, os.Symlink("../../../../../../../../etc/passwd", filepath.Join(s.dir, "relative")))
	require.NoError(t, os.Symlink("..", filepath.Join(s.dir, "up")))
	require.NoError(t, os.Symlink("circle", filepath.Join(s.dir, "circle")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, "fifo"), 0o644))
	return s
}

// add makes a file that is an hour old.
func (s *site) add(t *testing.T, path string, b []byte) {
	full := filepath.Join(s.dir, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
	require.NoError(t, os.WriteFile(full, b, 0o644))
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(full, old, old))
	s.files[path] = b
}

func noise(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

// lines is a buffer that several goroutines may write to.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a server in this process.
type running struct {
	*server
	addr string
	errs *lines
	stop func() // asks it to drain, and waits for its end
}

// serve runs a server until the test is over.
func serve(t *testing.T, engine, root string, change func(*config)) *running {
	c := defaults()
	c.addr, c.engine, c.root = "127.0.0.1:0", engine, root
	c.header, c.idle, c.send, c.linger = patience, patience, patience, patience
	if change != nil {
		change(c)
	}
	errs := new(lines)
	s, err := listen(c, errs)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return &running{s, s.addr.String(), errs, stop}
}

func connect(t *testing.T, addr string) *net.TCPConn {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.TCPConn)
}

// say sends text.
func say(t *testing.T, c net.Conn, text string) {
	_, err := c.Write([]byte(text))
	require.NoError(t, err)
}

// answer reads one answer and its body.
func answer(t *testing.T, r *bufio.Reader, method string) (*http.Response, []byte) {
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, b
}

// ask sends text on a connection of its own and returns all that comes back.
func ask(t *testing.T, addr, text string) string {
	c := connect(t, addr)
	say(t, c, text)
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.NoError(t, c.Close()) // the server waits for that
	return string(b)
}

// child is the program as a process of its own.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs *lines
	addr string
}

var firstLine = regexp.MustCompile(`^listening on (127\.0\.0\.1:\d+), engine (io_uring|epoll \(.+\))\n$`)

func startChild(t *testing.T, descriptors int, args ...string) *child {
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self, append([]string{"-addr", "127.0.0.1:0"}, args...)...), errs: new(lines)}
	// A binary of the race detector sleeps for a second before it exits.
	c.cmd.Env = append(os.Environ(), fmt.Sprint(harness.ChildVar, "=", descriptors), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = c.errs
	pipe, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(pipe)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	line, err := c.out.ReadString('\n')
	require.NoError(t, err, c.errs)
	require.Regexp(t, firstLine, line)
	c.addr = firstLine.FindStringSubmatch(line)[1]
	return c
}

// end asks the child to end, and waits until it has.
func (c *child) end(t *testing.T, sig os.Signal) {
	require.NoError(t, c.cmd.Process.Signal(sig))
	_, err := io.ReadAll(c.out)
	require.NoError(t, err)
	require.NoError(t, c.cmd.Wait(), "the exit code is 0: %s", c.errs)
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"a b", "-no", "-loops -1", "-conns 0", "-header 0", "-linger 0", "-revalidate -1s"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
	for _, change := range []func(*config){
		func(c *config) { c.engine = "kqueue" },
		func(c *config) { c.addr = "127.0.0.1:99999" },
		func(c *config) { c.root = "/nonexistent" },
		func(c *config) { c.root = "/dev/null" },
		func(c *config) { c.log = "/nonexistent/log" },
	} {
		c := defaults()
		c.addr = "127.0.0.1:0"
		change(c)
		require.Error(t, run(context.Background(), c, io.Discard, io.Discard))
	}
}
