package proactor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// bothEngines runs a test on each engine, with a loop that runs.
func bothEngines(t *testing.T, f func(t *testing.T, l *proactor.Loop), opts ...proactor.Option) {
	for _, name := range []string{"io_uring", "epoll"} {
		t.Run(name, func(t *testing.T) {
			l, err := proactor.New(append(opts, proactor.WithEngineName(name))...)
			if err != nil && name == "io_uring" && os.Getenv("PROACTOR_TEST_RING") != "must" {
				t.Skip("no io_uring here: ", err)
			}
			require.NoError(t, err)
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

func TestDialLooksNamesUp(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"one.test.": {"127.0.0.1"}})
		for _, network := range []string{"tcp", "tcp4"} {
			var x log
			c := connected(t, l, &proactor.Dialer{Resolver: r, Control: x.control}, network, at("one.test.", portOf(ln)))
			peer := accept(t, ln)
			talk(t, c, peer)
			closeConn(t, c)
			peer.Close()
			lines, _ := x.all()
			require.Equal(t, []string{"tcp4 " + ln.Addr().String()}, lines)
		}
		sameFDs(t, before)
	})
}

func TestLoopDialTakesNames(t *testing.T) {
	if _, err := net.LookupHost("localhost"); err != nil {
		t.Skip("localhost has no address here: ", err)
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		end := make(chan dialed, 1)
		_, err := l.Dial("tcp", at("localhost", portOf(ln)), func(c *proactor.Conn, err error) { end <- dialed{c, err} })
		require.NoError(t, err)
		x := got(t, end)
		require.NoError(t, x.err)
		talk(t, x.c, accept(t, ln))
		closeConn(t, x.c)

		_, err = l.Dial("tcp", at("", portOf(ln)), func(c *proactor.Conn, err error) { end <- dialed{c, err} })
		require.NoError(t, err)
		x = got(t, end)
		require.NoError(t, x.err, "no host: the local system")
		closeConn(t, x.c)
	})
}

func TestDialRefusesImpossibleTargets(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		never := func(*proactor.Conn, error) { t.Error("a callback of a refused dial") }
		from := func(a net.Addr) *proactor.Dialer { return &proactor.Dialer{LocalAddr: a} }
		v4 := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
		for _, x := range []struct {
			d                *proactor.Dialer
			network, address string
		}{
			{new(proactor.Dialer), "udp", "127.0.0.1:1"},
			{new(proactor.Dialer), "tcp", "localhost"},
			{new(proactor.Dialer), "tcp", "localhost:65536"},
			{new(proactor.Dialer), "tcp", "localhost:-1"},
			{new(proactor.Dialer), "tcp6", "127.0.0.1:1"},
			{new(proactor.Dialer), "tcp4", "[::1]:http"},
			{from(v4), "tcp", "[::1]:1"},
			{from(v4), "unix", "@nobody"},
			{from(&net.UnixAddr{Name: "@x"}), "tcp", "127.0.0.1:1"},
		} {
			_, err := x.d.Dial(l, x.network, x.address, never)
			require.Error(t, err, x)
		}
		for _, d := range []proactor.Dialer{{Deadline: time.Now()}, {Timeout: -1}, {Timeout: time.Hour, Deadline: time.Now().Add(-time.Hour)}} {
			_, err := d.Dial(l, "tcp", "127.0.0.1:1", never)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		require.Zero(t, l.Stats().Handles)
	})
}

func TestANameWithoutASuitableAddressIsAnError(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, _ := names(map[string][]string{"one.test.": {"127.0.0.1"}, "none.test.": nil})
		for _, x := range []struct{ network, address string }{
			{"tcp6", "one.test.:1"}, {"tcp", "none.test.:1"}, {"tcp", "127.0.0.1:no-such-service"},
		} {
			end, _ := dials(t, l, &proactor.Dialer{Resolver: r}, x.network, x.address)
			y := got(t, end)
			require.ErrorContains(t, y.err, "dial "+x.network+" "+x.address)
			var missing *net.DNSError
			require.ErrorAs(t, y.err, &missing)
			require.Nil(t, y.c)
		}
		d := &proactor.Dialer{Resolver: r, LocalAddr: &net.TCPAddr{IP: net.IPv6loopback}}
		end, _ := dials(t, l, d, "tcp", "one.test.:1")
		var unsuitable *net.AddrError
		require.ErrorAs(t, got(t, end).err, &unsuitable)
	})
}

func TestTheNextAddressIsTriedAtOnceWhenOneFails(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.3:0")
		r, _ := names(map[string][]string{"some.test.": {"127.0.0.1", "127.0.0.2", "127.0.0.3"}})
		for _, delay := range []time.Duration{time.Hour, -1} {
			c := connected(t, l, &proactor.Dialer{Resolver: r, FallbackDelay: delay}, "tcp", at("some.test.", portOf(ln)))
			require.Equal(t, ln.Addr().String(), c.RemoteAddr().String())
			talk(t, c, accept(t, ln))
			closeConn(t, c)
		}
		handlesLeft(t, l, 0)
	})
}

func TestTheNextAddressIsTriedAfterTheDelay(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		port := deaf(t, "127.0.0.1")
		ln := listen(t, "tcp4", at("127.0.0.3", port))
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"some.test.": {"127.0.0.1", "127.0.0.1", "127.0.0.3", "127.0.0.4"}})
		const delay = 20 * time.Millisecond
		var x log
		c := connected(t, l, &proactor.Dialer{Resolver: r, FallbackDelay: delay, Control: x.control}, "tcp", at("some.test.", port))
		require.Equal(t, ln.Addr().String(), c.RemoteAddr().String())
		lines, times := x.all()
		require.Equal(t, []string{"tcp4 " + at("127.0.0.1", port), "tcp4 " + at("127.0.0.1", port), "tcp4 " + at("127.0.0.3", port)}, lines)
		require.GreaterOrEqual(t, times[2].Sub(times[1]), delay)
		handlesLeft(t, l, 1) // those that lost are gone
		peer := accept(t, ln)
		talk(t, c, peer)
		peer.Close()
		closeConn(t, c)
		sameFDs(t, before)
	})
}

func TestANegativeDelayTriesOneAfterTheOther(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		port := deaf(t, "127.0.0.1")
		listen(t, "tcp4", at("127.0.0.3", port))
		r, _ := names(map[string][]string{"some.test.": {"127.0.0.1", "127.0.0.3"}})
		var x log
		d := &proactor.Dialer{Resolver: r, FallbackDelay: -1, Timeout: 400 * time.Millisecond, Control: x.control}
		end, _ := dials(t, l, d, "tcp", at("some.test.", port))
		require.ErrorIs(t, got(t, end).err, os.ErrDeadlineExceeded)
		lines, _ := x.all()
		require.Equal(t, []string{"tcp4 " + at("127.0.0.1", port)}, lines)

		d.Timeout = 2500 * time.Millisecond // of which the first gets 2 s, as in package net
		begin := time.Now()
		c := connected(t, l, d, "tcp", at("some.test.", port))
		require.GreaterOrEqual(t, time.Since(begin), 1900*time.Millisecond)
		closeConn(t, c)
	})
}

func TestWhenAllAddressesFailTheFirstErrorIsReported(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		port := nobody(t)
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"some.test.": {"127.0.0.1", "127.0.0.2", "255.255.255.255"}})
		end, _ := dials(t, l, &proactor.Dialer{Resolver: r}, "tcp", at("some.test.", port))
		x := got(t, end)
		require.Nil(t, x.c)
		require.ErrorIs(t, x.err, syscall.ECONNREFUSED)
		require.ErrorContains(t, x.err, at("127.0.0.1", port))
		handlesLeft(t, l, 0)
		sameFDs(t, before)
	})
}

func TestCancelEndsALookup(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, s := names(nil)
		end, ticket := dials(t, l, &proactor.Dialer{Resolver: r}, "tcp4", "silent.test.:80")
		got(t, s.asked)
		require.True(t, l.Cancel(ticket))
		begin := time.Now()
		require.ErrorIs(t, got(t, end).err, proactor.ErrCanceled)
		got(t, s.given)
		require.Less(t, time.Since(begin), 4*time.Second, "after 5 s the resolver gives up by itself")
		require.False(t, l.Cancel(ticket))
	})
}

func TestCancelEndsTheAttemptsOfADial(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		port := deaf(t, "127.0.0.1")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"deaf.test.": {"127.0.0.1", "127.0.0.1"}})
		begun := make(chan bool, 2)
		d := &proactor.Dialer{Resolver: r, FallbackDelay: 1, Control: func(string, string, syscall.RawConn) error {
			begun <- true
			return nil
		}}
		end, ticket := dials(t, l, d, "tcp", at("deaf.test.", port))
		got(t, begun)
		got(t, begun)
		require.True(t, l.Cancel(ticket))
		require.ErrorIs(t, got(t, end).err, proactor.ErrCanceled)
		handlesLeft(t, l, 0)
		sameFDs(t, before)
	})
}

func TestTheLimitOfTimeIsForTheWholeDial(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		port := deaf(t, "127.0.0.1")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"deaf.test.": {"127.0.0.1", "127.0.0.1"}})
		const limit = 20 * time.Millisecond
		for _, address := range []string{"silent.test.:80", "mute.test.:80", at("deaf.test.", port), at("127.0.0.1", port)} {
			begin := time.Now()
			d := &proactor.Dialer{Resolver: r, Timeout: limit, FallbackDelay: time.Millisecond}
			if address == "silent.test.:80" {
				d.Timeout, d.Deadline = time.Hour, begin.Add(limit)
			}
			end, _ := dials(t, l, d, "tcp4", address)
			require.ErrorIs(t, got(t, end).err, os.ErrDeadlineExceeded, address)
			require.GreaterOrEqual(t, time.Since(begin), limit)
		}
		handlesLeft(t, l, 0)
		sameFDs(t, before)
	})
}

// The callback comes before Close returns, with nothing left behind.
func TestALoopThatClosesEndsItsDials(t *testing.T) {
	for _, address := range []string{"silent.test.:80", "deaf.test.:"} {
		t.Run(address, func(t *testing.T) {
			bothEngines(t, func(t *testing.T, l *proactor.Loop) {
				r, s := names(map[string][]string{"deaf.test.": {"127.0.0.1", "127.0.0.1"}})
				begun := make(chan bool, 2)
				d := &proactor.Dialer{Resolver: r, FallbackDelay: time.Hour, Control: func(string, string, syscall.RawConn) error {
					begun <- true
					return nil
				}}
				to := address
				if strings.HasPrefix(to, "deaf") {
					to += strconv.Itoa(deaf(t, "127.0.0.1"))
				}
				before := optest.Descriptors()
				end, _ := dials(t, l, d, "tcp4", to)
				if strings.HasPrefix(to, "deaf") {
					got(t, begun)
				} else {
					got(t, s.asked)
				}
				require.NoError(t, l.Close())
				select {
				case x := <-end:
					require.ErrorIs(t, x.err, net.ErrClosed)
					require.Nil(t, x.c)
				default:
					t.Fatal("Close returned before the callback")
				}
				if to == address {
					got(t, s.given)
				}
				sameFDs(t, before)
				_, err := d.Dial(l, "tcp4", to, func(*proactor.Conn, error) { t.Error("a callback of a refused dial") })
				require.ErrorIs(t, err, net.ErrClosed)
			})
		})
	}
}

func TestLookupsCountAgainstTheLimitOfCalls(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, s := names(nil)
		d := &proactor.Dialer{Resolver: r}
		end, ticket := dials(t, l, d, "tcp4", "silent.test.:80")
		got(t, s.asked)
		_, err := d.Dial(l, "tcp4", "silent.test.:80", func(*proactor.Conn, error) { t.Error("a callback of a refused dial") })
		require.ErrorIs(t, err, proactor.ErrFull)
		l.Cancel(ticket)
		require.Error(t, got(t, end).err)
		end, ticket = dials(t, l, d, "tcp4", "mute.test.:80")
		l.Cancel(ticket)
		require.ErrorIs(t, got(t, end).err, proactor.ErrCanceled, "there is room again")
	}, proactor.WithMaxCalls(1))
}

// The result of a lookup isn't lost when no more functions can be posted.
func TestALookupEndsBesideAFullQueueOfPosts(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		answered := make(chan bool)
		r, _ := names(map[string][]string{"one.test.": {"127.0.0.1"}})
		r.Dial = func(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
			return func(ctx context.Context, network, address string) (net.Conn, error) {
				<-answered
				return dial(ctx, network, address)
			}
		}(r.Dial)
		end, _ := dials(t, l, &proactor.Dialer{Resolver: r}, "tcp4", at("one.test.", portOf(ln)))
		stop, stopped := make(chan bool), make(chan bool)
		require.NoError(t, l.Post(func() { close(stopped); <-stop }))
		got(t, stopped)
		require.NoError(t, l.Post(func() {}))
		require.ErrorIs(t, l.Post(func() {}), proactor.ErrFull)
		close(answered)
		lookedUp := func() bool { // the loop, which could tell, is busy
			all := make([]byte, 1<<20)
			return !strings.Contains(string(all[:runtime.Stack(all, true)]), ".lookUp(")
		}
		require.Eventually(t, lookedUp, patience, time.Millisecond)
		close(stop)
		x := got(t, end)
		require.NoError(t, x.err)
		closeConn(t, x.c)
	}, proactor.WithMaxPosts(1))
}

func TestADialThatIsCancelledAtAnyMomentEndsOnce(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"some.test.": {"127.0.0.2", "127.0.0.1", "127.0.0.1"}})
		for i := range 300 {
			d := &proactor.Dialer{Resolver: r, FallbackDelay: time.Duration(1 + i%3)}
			end, ticket := dials(t, l, d, "tcp4", at("some.test.", portOf(ln)))
			for pause := time.Now().Add(time.Duration(i) * 3 * time.Microsecond); time.Now().Before(pause); {
				select {
				case x := <-end:
					end <- x
					pause = time.Time{}
				default:
				}
			}
			l.Cancel(ticket)
			x := got(t, end)
			if x.err == nil {
				closeConn(t, x.c)
			} else {
				require.ErrorIs(t, x.err, proactor.ErrCanceled)
			}
		}
		handlesLeft(t, l, 0)
		sameFDs(t, before)
	})
}

func TestControlIsAskedBeforeTheConnect(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"one.test.": {"127.0.0.1"}})
		mine := errors.New("mine")
		d := &proactor.Dialer{Resolver: r, Control: func(string, string, syscall.RawConn) error { return mine }}
		_, err := d.Dial(l, "tcp", ln.Addr().String(), func(*proactor.Conn, error) { t.Error("a callback of a refused dial") })
		require.ErrorIs(t, err, mine)
		end, _ := dials(t, l, d, "tcp", at("one.test.", portOf(ln)))
		require.ErrorIs(t, got(t, end).err, mine)
		handlesLeft(t, l, 0)
		sameFDs(t, before)

		d.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				if _, err := unix.Getpeername(int(fd)); err != unix.ENOTCONN {
					t.Error("it is connected already")
				}
				if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 0); err != nil {
					t.Error(err)
				}
			})
		}
		for _, address := range []string{ln.Addr().String(), at("one.test.", portOf(ln))} {
			c := connected(t, l, d, "tcp", address)
			require.Zero(t, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY), "it can change the options")
			closeConn(t, c)
		}
	})
}

func TestDialConnectsFromTheLocalAddress(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		r, _ := names(map[string][]string{"one.test.": {"::1", "127.0.0.1"}})
		for _, address := range []string{ln.Addr().String(), at("one.test.", portOf(ln))} {
			d := &proactor.Dialer{Resolver: r, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}}
			c := connected(t, l, d, "tcp", address)
			peer := accept(t, ln)
			require.Equal(t, "127.0.0.5", peer.RemoteAddr().(*net.TCPAddr).IP.String())
			closeConn(t, c)

			port := nobody(t)
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 6), Port: port}
			end := make(chan dialed, 1)
			_, err := d.Dial(l, "tcp", address, func(c *proactor.Conn, err error) { end <- dialed{c, err} })
			if err == nil {
				err = got(t, end).err
			}
			require.ErrorIs(t, err, syscall.EADDRINUSE, "the port is another's")
		}
		dir := t.TempDir()
		uln := listen(t, "unix", dir+"/there")
		c := connected(t, l, &proactor.Dialer{LocalAddr: &net.UnixAddr{Net: "unix", Name: dir + "/here"}}, "unix", dir+"/there")
		require.Equal(t, dir+"/here", accept(t, uln).RemoteAddr().String())
		closeConn(t, c)
	})
}

func TestKeepAliveIsAsInPackageNet(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		for _, x := range []struct {
			d                         proactor.Dialer
			on, idle, interval, count int
		}{
			{proactor.Dialer{}, 1, 15, 15, 9},
			{proactor.Dialer{KeepAlive: 30 * time.Second}, 1, 30, 30, 9},
			{proactor.Dialer{KeepAlive: -1, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 1500 * time.Millisecond, Interval: 4 * time.Second, Count: 5}}, 1, 2, 4, 5},
			{proactor.Dialer{KeepAlive: -1}, 0, -1, -1, -1},
		} {
			c := connected(t, l, &x.d, "tcp", ln.Addr().String())
			require.Equal(t, x.on, option(t, c, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
			require.Equal(t, 1, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
			if x.on == 1 {
				require.Equal(t, x.idle, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
				require.Equal(t, x.interval, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
				require.Equal(t, x.count, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
			}
			closeConn(t, c)
		}
	})
}

func TestDialUnixpacketKeepsTheBoundsOfMessages(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "unixpacket", t.TempDir()+"/socket")
		c := connected(t, l, new(proactor.Dialer), "unixpacket", ln.Addr().String())
		require.Equal(t, "unixpacket", c.RemoteAddr().Network())
		peer := accept(t, ln)
		talk(t, c, peer)
		for _, s := range []string{"one", "two"} {
			_, err := peer.Write([]byte(s))
			require.NoError(t, err)
		}
		require.Equal(t, "one", receive(t, c))
		require.Equal(t, "two", receive(t, c))
		peer.Close()
		require.Equal(t, "EOF", receive(t, c))
		closeConn(t, c)
	})
}

func TestOptionsOfAConnection(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		c := connected(t, l, new(proactor.Dialer), "tcp", ln.Addr().String())
		accept(t, ln)
		require.NoError(t, c.SetNoDelay(false))
		require.Zero(t, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
		require.NoError(t, c.SetNoDelay(true))
		require.Equal(t, 1, option(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY))
		require.NoError(t, c.SetReadBuffer(20000))
		require.Equal(t, 40000, option(t, c, unix.SOL_SOCKET, unix.SO_RCVBUF))
		require.NoError(t, c.SetWriteBuffer(30000))
		require.Equal(t, 60000, option(t, c, unix.SOL_SOCKET, unix.SO_SNDBUF))
		require.NoError(t, c.SetKeepAlive(net.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: -1, Count: -1}))
		require.Equal(t, 7, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
		require.Equal(t, 15, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
		require.Equal(t, 9, option(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
		require.NoError(t, c.SetKeepAlive(net.KeepAliveConfig{}))
		require.Zero(t, option(t, c, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
		_, err := c.PeerCred()
		require.ErrorIs(t, err, errors.ErrUnsupported)
		closeConn(t, c)
		for _, err := range []error{c.SetNoDelay(true), c.SetLinger(0), c.SetReadBuffer(1), c.SetWriteBuffer(1), c.SetKeepAlive(net.KeepAliveConfig{})} {
			require.ErrorIs(t, err, net.ErrClosed)
		}
		_, err = c.PeerCred()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestALingerOfZeroResets(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		for sec, want := range map[int]error{0: syscall.ECONNRESET, -1: io.EOF, 1: io.EOF} {
			c := connected(t, l, new(proactor.Dialer), "tcp", ln.Addr().String())
			require.NoError(t, c.SetLinger(sec))
			peer := accept(t, ln)
			closeConn(t, c)
			_, err := peer.Read(make([]byte, 1))
			require.ErrorIs(t, err, want, sec)
		}
	})
}

func TestPeerCredTellsWhoTheOtherIs(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "unix", t.TempDir()+"/socket")
		c := connected(t, l, new(proactor.Dialer), "unix", ln.Addr().String())
		who, err := c.PeerCred()
		require.NoError(t, err)
		require.Equal(t, proactor.Cred{PID: os.Getpid(), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}, who)
		closeConn(t, c)
	})
}

func TestCloseReadEndsReceiving(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		c := connected(t, l, new(proactor.Dialer), "tcp", ln.Addr().String())
		peer := accept(t, ln)
		ends := make(chan error, 1)
		require.NoError(t, c.RecvEach(func(_ *proactor.Buffer, err error) { ends <- err }))
		closed := make(chan error, 1)
		_, err := c.CloseRead(func(err error) { closed <- err })
		require.NoError(t, err)
		require.NoError(t, got(t, closed))
		require.Equal(t, io.EOF, got(t, ends))
		_, err = c.Send([]byte("still"), nil)
		require.NoError(t, err)
		b := make([]byte, 5)
		_, err = io.ReadFull(peer, b)
		require.NoError(t, err, "the other direction goes on")
		closeConn(t, c)
	})
}

// namespaceVar tells a test that it runs in a network namespace of its own.
const namespaceVar = "PROACTOR_TEST_NAMESPACE"

// inNamespace runs the calling test again, in a network namespace of its own with
// nothing but a loopback, which has the addresses 2001:db8::2 and ::3 of a network
// in which nobody else answers. It reports whether this is the inner run.
func inNamespace(t *testing.T) bool {
	if os.Getenv(namespaceVar) != "" {
		prepareNamespace(t)
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), namespaceVar+"=own")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skip("no network namespace here: ", err)
	}
	if why, skipped := skipReason(string(out)); skipped {
		t.Skip(why)
	}
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

// skipReason returns why the inner run has skipped, if it has.
func skipReason(out string) (string, bool) {
	for line := range strings.Lines(out) {
		if _, why, ok := strings.Cut(line, noNamespace); ok {
			return noNamespace + why, true
		}
	}
	return "", false
}

const noNamespace = "the namespace is of no use: "

func prepareNamespace(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip(noNamespace, "no IPv6: ", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	require.NoError(t, err)
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Skip(noNamespace, "loopback: ", err)
	}
	for _, ip := range []string{"2001:db8::2", "2001:db8::3"} {
		request := struct {
			addr   [16]byte
			prefix uint32
			index  int32
		}{netip.MustParseAddr(ip).As16(), 64, 1}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request))); e != 0 {
			t.Skip(noNamespace, "address: ", e)
		}
	}
}

func TestHappyEyeballsPassABlackHole(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"both.test.": {"127.0.0.1", "2001:db8::1"}})
		var x log
		begin := time.Now()
		c := connected(t, l, &proactor.Dialer{Resolver: r, Control: x.control}, "tcp", at("both.test.", portOf(ln)))
		require.Less(t, time.Since(begin), 2*time.Second)
		require.Equal(t, ln.Addr().String(), c.RemoteAddr().String())
		lines, times := x.all()
		require.Equal(t, []string{"tcp6 " + at("2001:db8::1", portOf(ln)), "tcp4 " + ln.Addr().String()}, lines)
		require.GreaterOrEqual(t, times[1].Sub(times[0]), 250*time.Millisecond)
		handlesLeft(t, l, 1)
		peer := accept(t, ln)
		talk(t, c, peer)
		peer.Close()
		closeConn(t, c)
		sameFDs(t, before)

		end, _ := dials(t, l, &proactor.Dialer{Resolver: r, Timeout: 50 * time.Millisecond}, "tcp6", at("both.test.", portOf(ln)))
		require.ErrorIs(t, got(t, end).err, os.ErrDeadlineExceeded, "it is a black hole")
	})
}

func TestTheFamiliesTakeTurns(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, _ := names(map[string][]string{"both.test.": {"127.0.0.1", "127.0.0.2", "127.0.0.3", "2001:db8::2", "2001:db8::3"}})
		var x log
		end, _ := dials(t, l, &proactor.Dialer{Resolver: r, FallbackDelay: time.Hour, Control: x.control}, "tcp", "both.test.:80")
		err := got(t, end).err
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		lines, _ := x.all()
		require.Len(t, lines, 5)
		var families []string
		for _, s := range lines {
			families = append(families, s[:4])
		}
		require.Equal(t, []string{"tcp6", "tcp4", "tcp6", "tcp4", "tcp4"}, families, lines)
		require.ErrorContains(t, err, strings.TrimPrefix(lines[0], "tcp6 "), "the first error")
	})
}

func TestFastOpenSendsDataWithTheSYN(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte("3"), 0); err != nil {
		t.Skip(noNamespace, "fast open: ", err)
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		open := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16) })
			return err
		}}
		open.SetMultipathTCP(false)
		ln, err := open.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		d := &proactor.Dialer{FastOpen: true}
		for i := range 3 { // the first gets the cookie, if the one before hasn't
			c := connected(t, l, d, "tcp", ln.Addr().String())
			_, err := c.Send([]byte("first"), nil)
			require.NoError(t, err)
			peer := accept(t, ln)
			b := make([]byte, 5)
			_, err = io.ReadFull(peer, b)
			require.NoError(t, err)
			talk(t, c, peer)
			info, err := unix.GetsockoptTCPInfo(c.FD(), unix.IPPROTO_TCP, unix.TCP_INFO)
			require.NoError(t, err)
			const synData = 32 // TCPI_OPT_SYN_DATA
			if i > 0 {
				require.NotZero(t, info.Options&synData, fmt.Sprintf("%#x", info.Options))
			}
			closeConn(t, c)
		}
	})
}

// A dialer connects from one address, and gives up after 5 s.
func ExampleDialer() {
	peer, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	d := proactor.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}}
	_, err = d.Dial(loop, "tcp", peer.Addr().String(), func(c *proactor.Conn, err error) {
		if err == nil {
			fmt.Println("from", c.LocalAddr().(*net.TCPAddr).IP)
		} else {
			fmt.Println(err)
		}
		_ = loop.Close()
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: from 127.0.0.7
}
