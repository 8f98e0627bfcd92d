package proactor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// loopOn returns a loop on an engine. Without io_uring it skips the test, unless that
// must be there.
func loopOn(t *testing.T, engine string, opts ...proactor.Option) *proactor.Loop {
	t.Helper()
	l, err := proactor.New(append(opts, proactor.WithEngineName(engine))...)
	if err != nil && engine == "io_uring" && os.Getenv("PROACTOR_TEST_RING") != "must" {
		t.Skip("no io_uring here: ", err)
	}
	require.NoError(t, err)
	return l
}

// bothEngines runs a test on each engine, with a loop that runs.
func bothEngines(t *testing.T, f func(t *testing.T, l *proactor.Loop), opts ...proactor.Option) {
	for _, name := range []string{"io_uring", "epoll"} {
		t.Run(name, func(t *testing.T) {
			l := loopOn(t, name, opts...)
			ran := make(chan error, 1)
			go func() { ran <- l.Run(context.Background()) }()
			running := make(chan bool)
			require.NoError(t, l.Post(func() { close(running) }))
			got(t, running)
			defer func() {
				require.NoError(t, l.Close())
				require.NoError(t, <-ran)
			}()
			f(t, l)
		})
	}
}

// got waits for what must come.
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

// handlesLeft waits until the loop has n handles: no event tells of the end of an
// attempt that lost.
func handlesLeft(t *testing.T, l *proactor.Loop, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return l.Stats().Handles == n }, patience, time.Millisecond)
}

// sameFDs checks that the descriptors are those from before.
func sameFDs(t *testing.T, before map[string]string) {
	t.Helper()
	same := func() bool {
		after := optest.Descriptors()
		maps.DeleteFunc(after, func(fd, to string) bool { return before[fd] == to || strings.Contains(to, "/proc/") })
		return len(after) == 0
	}
	require.Eventually(t, same, patience, time.Millisecond, "descriptors are left over")
}

type dialed struct {
	c   *proactor.Conn
	err error
}

// dials begins a dial and returns where its end comes to, and its ticket. A second
// callback fails the test.
func dials(t *testing.T, l *proactor.Loop, d *proactor.Dialer, network, address string) (chan dialed, proactor.Ticket) {
	t.Helper()
	end := make(chan dialed, 1)
	var calls atomic.Int32
	ticket, err := d.Dial(l, network, address, func(c *proactor.Conn, err error) {
		if calls.Add(1) > 1 {
			t.Error("a second callback")
		}
		end <- dialed{c, err}
	})
	require.NoError(t, err)
	return end, ticket
}

func connected(t *testing.T, l *proactor.Loop, d *proactor.Dialer, network, address string) *proactor.Conn {
	t.Helper()
	end, _ := dials(t, l, d, network, address)
	x := got(t, end)
	require.NoError(t, x.err)
	return x.c
}

// talk sends both ways.
func talk(t *testing.T, c *proactor.Conn, peer io.ReadWriter) {
	t.Helper()
	_, err := c.Send([]byte("there"), nil)
	require.NoError(t, err)
	b := make([]byte, 5)
	_, err = io.ReadFull(peer, b)
	require.NoError(t, err)
	require.Equal(t, "there", string(b))
	_, err = peer.Write([]byte("back"))
	require.NoError(t, err)
	require.Equal(t, "back", receive(t, c))
}

// receive returns what a Recv brings.
func receive(t *testing.T, c *proactor.Conn) string {
	t.Helper()
	type result struct {
		n   int
		err error
	}
	buf, end := make([]byte, 64), make(chan result, 1)
	_, err := c.Recv(buf, func(n int, err error) { end <- result{n, err} })
	require.NoError(t, err)
	r := got(t, end)
	if errors.Is(r.err, io.EOF) {
		return "EOF"
	}
	require.NoError(t, r.err)
	return string(buf[:r.n])
}

func closeConn(t *testing.T, c *proactor.Conn) {
	t.Helper()
	closed := make(chan error, 1)
	require.NoError(t, c.Close(func(err error) { closed <- err }))
	require.NoError(t, got(t, closed))
}

// nameServer answers from a table in this process. A name that isn't in it never
// gets an answer.
type nameServer struct {
	names map[string][]netip.Addr
	asked chan string // the names without an answer, as they are asked for
	given chan string // and when the resolver has given them up
}

func names(list map[string][]string) (*net.Resolver, *nameServer) {
	s := &nameServer{names: map[string][]netip.Addr{}, asked: make(chan string, 100), given: make(chan string, 100)}
	for name, all := range list {
		s.names[name] = nil
		for _, a := range all {
			s.names[name] = append(s.names[name], netip.MustParseAddr(a))
		}
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if ctx.Err() != nil { // it would ask again
			return nil, ctx.Err()
		}
		client, server := net.Pipe() // no net.PacketConn: messages have their length in front
		context.AfterFunc(ctx, func() { client.Close() })
		go s.serve(server)
		return client, nil
	}
	return &net.Resolver{PreferGo: true, Dial: dial}, s
}

func (s *nameServer) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		name, answer := s.answer(query)
		if answer == nil {
			s.asked <- name
			_, _ = c.Read(size[:]) // until the resolver closes it
			s.given <- name
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer answers a query for addresses (RFC 1035): nil if it doesn't.
func (s *nameServer) answer(query []byte) (name string, answer []byte) {
	end := 12
	for query[end] != 0 {
		name += string(query[end+1:end+1+int(query[end])]) + "."
		end += 1 + int(query[end])
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	end += 5
	all, known := s.names[name]
	if !known {
		return name, nil
	}
	const a, aaaa = 1, 28
	var records []byte
	n := byte(0)
	for _, addr := range all {
		if kind == a && addr.Is4() || kind == aaaa && addr.Is6() {
			n++
			b := addr.AsSlice()
			records = append(records, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(b)))
			records = append(records, b...)
		}
	}
	answer = append(answer, query[0], query[1], 0x81, 0x80, 0, 1, 0, n, 0, 0, 0, 0)
	answer = append(answer, query[12:end]...)
	return name, append(answer, records...)
}

// log keeps what Control was called with.
type log struct {
	mu    sync.Mutex
	lines []string
	times []time.Time
}

func (l *log) control(network, address string, _ syscall.RawConn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, network+" "+address)
	l.times = append(l.times, time.Now())
	return nil
}

func (l *log) all() ([]string, []time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines, l.times
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

func accept(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// deaf is a listener at an IPv4 address whose backlog is full: it drops what would
// connect.
func deaf(t *testing.T, ip string) (port int) {
	t.Helper()
	socket := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	ln := socket()
	require.NoError(t, unix.Bind(ln, &unix.SockaddrInet4{Addr: netip.MustParseAddr(ip).As4()}))
	require.NoError(t, unix.Listen(ln, 0))
	sa, err := unix.Getsockname(ln)
	require.NoError(t, err)
	fd := socket()
	require.ErrorIs(t, unix.Connect(fd, sa), unix.EINPROGRESS)
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p, int(patience/time.Millisecond))
	for err == unix.EINTR {
		n, err = unix.Poll(p, int(patience/time.Millisecond))
	}
	require.NoError(t, err)
	require.Equal(t, 1, n, "the one connection that it takes")
	return sa.(*unix.SockaddrInet4).Port
}

// nobody is a port at which nobody listens.
func nobody(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) }) // bound meanwhile: nobody else gets it
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{}))
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return sa.(*unix.SockaddrInet4).Port
}

func at(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

func option(t *testing.T, c *proactor.Conn, level, name int) int {
	t.Helper()
	n, err := unix.GetsockoptInt(c.FD(), level, name)
	require.NoError(t, err)
	return n
}
