//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the Go servers and readers, too: it runs itself with -serve, -read.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-serve" || os.Args[1] == "-read") {
		main()
		return
	}
	os.Exit(m.Run())
}

// checks are what every server must do.
var checks = []struct {
	name string
	do   func(addr string) error
}{
	{"echoes 64 bytes a thousand times", echoSmall},
	{"echoes 16 KiB", echoLarge},
	{"echoes 16 requests in one write", echoPipelined},
	{"echoes a stream of 256 KiB", echoStream},
	{"serves 200 connections at once", func(addr string) error { return echoAtOnce(addr, 200) }},
	{"serves 2000 connections at once", func(addr string) error { return echoAtOnce(addr, 2000) }},
	{"serves 500 connections one after the other", churn},
	{"closes after a half-close", halfClose},
	{"goes on after resets", survivesResets},
	{"echoes to peers that read late", echoToLateReaders},
}

func TestServersObeyTheProtocol(t *testing.T) {
	for name, command := range commands(t) {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "c io_uring") || strings.HasPrefix(name, "gain") {
				needRing(t)
			}
			s := start(t, command)
			t.Run("closes what its peers have closed", s.closesDescriptors)
			for _, c := range checks {
				t.Run(c.name, func(t *testing.T) {
					if err := c.do(s.addr); err != nil {
						t.Fatal(err)
					}
				})
			}
			s.stop(t)
		})
	}
}

func TestAServerThatIsNotThereIsAnError(t *testing.T) {
	if err := serve("nobody"); err == nil {
		t.Fatal("no error")
	}
}

// commands are the servers' command lines, by name. It builds those in C.
func commands(t *testing.T) map[string][]string {
	uring, epoll := build(t, "io_uring"), build(t, "epoll")
	all := map[string][]string{
		"c io_uring":      {uring},
		"c io_uring each": {uring, "each"},
		"c epoll":         {epoll},
	}
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		all[name] = []string{os.Args[0], "-serve", name}
	}
	return all
}

func build(t *testing.T, name string) string {
	bin := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", bin, filepath.Join("c", name+".c")).CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return bin
}

// needRing skips where the system refuses io_uring altogether; with
// PROACTOR_TEST_RING=must that is a failure. It asks for a ring at a bad address:
// EFAULT says that there could be one.
func needRing(t *testing.T) {
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	if errno != unix.EPERM && errno != unix.ENOSYS {
		return
	}
	if os.Getenv("PROACTOR_TEST_RING") == "must" {
		t.Fatal("no io_uring here: ", errno)
	}
	t.Skip("no io_uring here: ", errno)
}

// server is a child process.
type server struct {
	pid    int
	stdin  io.Closer
	addr   string
	exited chan error
}

func start(t *testing.T, command []string) *server {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	s := &server{pid: cmd.Process.Pid, stdin: stdin, addr: strings.TrimSuffix(line, "\n"), exited: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		s.exited <- cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	if err != nil {
		t.Fatal("read the server's address: ", err)
	}
	return s
}

// stop ends the server's input, whereupon it must exit with 0.
func (s *server) stop(t *testing.T) {
	s.stdin.Close()
	select {
	case err := <-s.exited:
		if err != nil {
			t.Error("the server didn't exit with 0: ", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the server didn't exit within 5 s of its input's end")
	}
}

// closesDescriptors has a thousand connections come and go. It has one
// before it counts, as some servers open more for the first. Nothing tells when
// another process closes a descriptor, so it looks until it has.
func (s *server) closesDescriptors(t *testing.T) {
	if err := rounds(s.addr, 1, 1); err != nil {
		t.Fatal(err)
	}
	before := s.descriptors(t)
	for range 1000 {
		if err := rounds(s.addr, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	late := time.After(10 * time.Second)
	for look := time.NewTicker(time.Millisecond); s.descriptors(t) > before; {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%d descriptors before 1000 connections, %d after", before, s.descriptors(t))
		}
	}
}

func (s *server) descriptors(t *testing.T) int {
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// dial connects; a deadline makes a server that doesn't answer a failed check.
func dial(addr string) (*net.TCPConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), c.SetDeadline(time.Now().Add(time.Minute))
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// roundTrip sends a request and checks its answer.
func roundTrip(c net.Conn, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	return expect(c, request)
}

func expect(c net.Conn, want []byte) error {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("answer after %d of %d bytes: %w", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("wrong bytes in an answer of %d", len(want))
	}
	return nil
}

// rounds are round trips of new random bytes on one connection.
func rounds(addr string, n, size int) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range n {
		if err := roundTrip(c, random(size)); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
	}
	return nil
}

func echoSmall(addr string) error { return rounds(addr, 1000, 64) }

func echoLarge(addr string) error { return rounds(addr, 100, 16<<10) }

func echoPipelined(addr string) error { return rounds(addr, 100, 16*64) }

func echoStream(addr string) error { return stream(addr, 256<<10, 64<<10) }

// stream writes random bytes, and reads the answer while it writes, but not before
// `head` bytes are written.
func stream(addr string, size, head int) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	data := random(size)
	if _, err := c.Write(data[:head]); err != nil {
		return err
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(data[head:])
		wrote <- err
	}()
	if err := expect(c, data); err != nil {
		return err
	}
	return <-wrote
}

// echoAtOnce has all connections open and all requests sent before it reads.
func echoAtOnce(addr string, n int) error {
	conns, requests := make([]net.Conn, 0, n), make([][]byte, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range n {
		c, err := dial(addr)
		if err != nil {
			return err
		}
		conns, requests[i] = append(conns, c), random(64+i)
	}
	for i, c := range conns {
		if _, err := c.Write(requests[i]); err != nil {
			return err
		}
	}
	for i, c := range conns {
		if err := expect(c, requests[i]); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func churn(addr string) error {
	for i := range 500 {
		if err := rounds(addr, 1, 1); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func halfClose(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := roundTrip(c, random(64)); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("after a half-close: %d bytes, %v", n, err)
	}
	return nil
}

// survivesResets resets connections while the server has much to send on them.
func survivesResets(addr string) error {
	for range 20 {
		c, err := dial(addr)
		if err != nil {
			return err
		}
		_, err = c.Write(random(1 << 20))
		_ = c.SetLinger(0)
		c.Close()
		if err != nil {
			return err
		}
	}
	return rounds(addr, 10, 64)
}

// echoToLateReaders has the server's sends wait for room: the answers are more than
// small socket buffers hold. Eight of them: gain copies a stream of 4 MiB 128 times.
func echoToLateReaders(addr string) error {
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = stream(addr, 4<<20, 512<<10) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
