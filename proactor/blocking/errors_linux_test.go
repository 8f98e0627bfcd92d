package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

// world is how connections are made: package net's way, or ours.
type world struct {
	listen       func(network, address string) (net.Listener, error)
	dial         func(ctx context.Context, network, address string) (net.Conn, error)
	listenPacket func(network, address string) (net.PacketConn, error)
}

// trouble are things that go wrong: each returns the error of the last step.
var trouble = map[string]func(t *testing.T, w world) error{
	"read after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.Close()
		_, err := a.Read(make([]byte, 1))
		return err
	},
	"read after close, unix": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "unix")
		a.Close()
		_, err := a.Read(make([]byte, 1))
		return err
	},
	"write after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.Close()
		_, err := a.Write(make([]byte, 1))
		return err
	},
	"close twice": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.Close()
		return a.Close()
	},
	"read past the deadline": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.SetReadDeadline(past)
		_, err := a.Read(make([]byte, 1))
		return err
	},
	"a deadline while reading": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := a.Read(make([]byte, 1))
		return err
	},
	"write past the deadline": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.SetWriteDeadline(past)
		_, err := a.Write(make([]byte, 1))
		return err
	},
	"a deadline while writing": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "unix")
		a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := a.Write(make([]byte, 64<<20))
		return err
	},
	"end of the stream": func(t *testing.T, w world) error {
		a, b := w.pair(t, "tcp")
		b.Close()
		_, err := a.Read(make([]byte, 1))
		return err
	},
	"read after a reset": func(t *testing.T, w world) error {
		a, b := w.pair(t, "tcp")
		b.(interface{ SetLinger(int) error }).SetLinger(0)
		b.Close()
		_, err := a.Read(make([]byte, 1))
		return err
	},
	"write after a reset": func(t *testing.T, w world) error {
		a, b := w.pair(t, "tcp")
		b.(interface{ SetLinger(int) error }).SetLinger(0)
		b.Close()
		_, _ = a.Read(make([]byte, 1)) // the reset has come
		_, err := a.Write(make([]byte, 1))
		return err
	},
	"write after CloseWrite": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.(interface{ CloseWrite() error }).CloseWrite()
		_, err := a.Write(make([]byte, 1))
		return err
	},
	"CloseWrite after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.Close()
		return a.(interface{ CloseWrite() error }).CloseWrite()
	},
	"CloseWrite after the peer's close": func(t *testing.T, w world) error {
		a, b := w.pair(t, "tcp")
		b.(interface{ SetLinger(int) error }).SetLinger(0)
		b.Close()
		_, _ = a.Read(make([]byte, 1))
		return a.(interface{ CloseWrite() error }).CloseWrite()
	},
	"deadline after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.Close()
		return a.SetDeadline(past)
	},
	"option after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		a.Close()
		return a.(interface{ SetNoDelay(bool) error }).SetNoDelay(true)
	},
	"raw control after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		raw, err := a.(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		a.Close()
		return raw.Control(func(uintptr) {})
	},
	"raw read after close": func(t *testing.T, w world) error {
		a, _ := w.pair(t, "tcp")
		raw, err := a.(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		a.Close()
		return raw.Read(func(uintptr) bool { return false })
	},
	"accept after close": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp", "127.0.0.1:0")
		ln.Close()
		_, err := ln.Accept()
		return err
	},
	"accept past the deadline": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp", "127.0.0.1:0")
		ln.(interface{ SetDeadline(time.Time) error }).SetDeadline(past)
		_, err := ln.Accept()
		return err
	},
	"close of a listener twice": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp", "127.0.0.1:0")
		ln.Close()
		return ln.Close()
	},
	"deadline of a listener after close": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp", "127.0.0.1:0")
		ln.Close()
		return ln.(interface{ SetDeadline(time.Time) error }).SetDeadline(past)
	},
	"listen at an address in use": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp", "127.0.0.1:0")
		_, err := w.listen("tcp", ln.Addr().String())
		return err
	},
	"listen on an unknown network": func(t *testing.T, w world) error {
		_, err := w.listen("tcp5", "127.0.0.1:0")
		return err
	},
	"connection refused": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp", "127.0.0.1:0")
		ln.Close()
		_, err := w.dial(context.Background(), "tcp", ln.Addr().String())
		return err
	},
	"connection refused, by name": func(t *testing.T, w world) error {
		ln := w.listener(t, "tcp4", "127.0.0.1:0")
		ln.Close()
		_, err := w.dial(context.Background(), "tcp4", fmt.Sprint("localhost:", ln.Addr().(*net.TCPAddr).Port))
		return err
	},
	"dial without a socket": func(t *testing.T, w world) error {
		_, err := w.dial(context.Background(), "unix", t.TempDir()+"/none")
		return err
	},
	"dial on an unknown network": func(t *testing.T, w world) error {
		_, err := w.dial(context.Background(), "tcp5", "127.0.0.1:1")
		return err
	},
	"dial with a context that is over": func(t *testing.T, w world) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := w.dial(ctx, "tcp", "127.0.0.1:1")
		return err
	},
	"dial with a deadline that is over": func(t *testing.T, w world) error {
		ctx, cancel := context.WithDeadline(context.Background(), past)
		defer cancel()
		_, err := w.dial(ctx, "tcp", "127.0.0.1:1")
		return err
	},
	"ReadFrom past the deadline": func(t *testing.T, w world) error {
		p := w.packets(t)
		p.SetReadDeadline(past)
		_, _, err := p.ReadFrom(make([]byte, 1))
		return err
	},
	"ReadFrom after close": func(t *testing.T, w world) error {
		p := w.packets(t)
		p.Close()
		_, _, err := p.ReadFrom(make([]byte, 1))
		return err
	},
	"WriteTo after close": func(t *testing.T, w world) error {
		p := w.packets(t)
		p.Close()
		_, err := p.WriteTo(make([]byte, 1), p.LocalAddr())
		return err
	},
	"WriteTo the wrong kind of address": func(t *testing.T, w world) error {
		p := w.packets(t)
		_, err := p.WriteTo(make([]byte, 1), &net.TCPAddr{})
		return err
	},
	"WriteTo the wrong family": func(t *testing.T, w world) error {
		p := w.packets(t)
		_, err := p.WriteTo(make([]byte, 1), &net.UDPAddr{IP: net.IPv6loopback, Port: 1})
		return err
	},
	"WriteTo with a peer": func(t *testing.T, w world) error {
		p := w.packets(t)
		c, err := w.dial(context.Background(), "udp", p.LocalAddr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = c.(net.PacketConn).WriteTo(make([]byte, 1), p.LocalAddr())
		return err
	},
	"Write without a peer": func(t *testing.T, w world) error {
		_, err := w.packets(t).(net.Conn).Write(make([]byte, 1))
		return err
	},
	"too long a datagram": func(t *testing.T, w world) error {
		p := w.packets(t)
		_, err := p.WriteTo(make([]byte, 1<<17), p.LocalAddr())
		return err
	},
	"no one at the port": func(t *testing.T, w world) error {
		p := w.packets(t)
		p.Close()
		c, err := w.dial(context.Background(), "udp", p.LocalAddr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		c.SetReadDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
		return err
	},
}

func (w world) listener(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := w.listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

func (w world) packets(t *testing.T) net.PacketConn {
	t.Helper()
	p, err := w.listenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// pair returns a dialed and an accepted end.
func (w world) pair(t *testing.T, network string) (a, b net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = t.TempDir() + "/socket"
	}
	ln := w.listener(t, network, address)
	accepted := make(chan net.Conn, 1)
	failed := async(func() error {
		c, err := ln.Accept()
		accepted <- c
		return err
	})
	a, err := w.dial(context.Background(), network, ln.Addr().String())
	require.NoError(t, err)
	require.NoError(t, got(t, failed))
	b = <-accepted
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	for name, make := range trouble {
		t.Run(name, func(t *testing.T) {
			theirs := make(t, world{net.Listen, new(net.Dialer).DialContext, net.ListenPacket})
			require.Error(t, theirs)
			bothEngines(t, func(t *testing.T, n *blocking.Net) {
				t.Run("", func(t *testing.T) { // closes its sockets before the Net is closed
					ours := make(t, world{n.Listen, n.Dial, n.ListenPacket})
					require.Equal(t, shape(theirs), shape(ours))
				})
			})
		})
	}
}

var (
	ports = regexp.MustCompile(`:\d+`)
	paths = regexp.MustCompile(`/\S+/(socket|none)`)
)

// shape is all of an error that doesn't differ from one time to the next.
func shape(err error) map[string]any {
	if err == io.EOF {
		return map[string]any{"": err}
	}
	text := paths.ReplaceAllString(ports.ReplaceAllString(err.Error(), ":0"), "PATH")
	s := map[string]any{"text": text, "type": fmt.Sprintf("%T", err)}
	for name, e := range map[string]error{
		"net.ErrClosed": net.ErrClosed, "os.ErrDeadlineExceeded": os.ErrDeadlineExceeded,
		"context.Canceled": context.Canceled, "context.DeadlineExceeded": context.DeadlineExceeded,
		"ECONNREFUSED": syscall.ECONNREFUSED, "ECONNRESET": syscall.ECONNRESET, "EPIPE": syscall.EPIPE,
		"ENOENT": syscall.ENOENT, "not exist": os.ErrNotExist, "EADDRINUSE": syscall.EADDRINUSE, "ENOTCONN": syscall.ENOTCONN,
	} {
		s[name] = errors.Is(err, e)
	}
	if s["context.DeadlineExceeded"] == true { // of a dial: ours is the other one, too
		delete(s, "os.ErrDeadlineExceeded")
	}
	var e net.Error
	if errors.As(err, &e) {
		s["timeout"] = e.Timeout()
	}
	var o *net.OpError
	if errors.As(err, &o) {
		s["op"], s["net"] = o.Op, o.Net
		s["source"], s["addr"] = addrType(o.Source), addrType(o.Addr)
		s["temporary"] = o.Temporary()
		var call *os.SyscallError
		s["call"] = errors.As(o.Err, &call)
	}
	return s
}

func addrType(a net.Addr) string {
	if a == nil || reflect.ValueOf(a).IsNil() {
		return "none"
	}
	return fmt.Sprintf("%T", a)
}

// A resolver that doesn't answer.
func TestAContextEndsTheLookupOfADatagramSocket(t *testing.T) {
	n := netOn(t, "epoll", true)
	asked := make(chan struct{}, 10)
	d := &proactor.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
	ctx, cancel := context.WithCancel(context.Background())
	end := async(func() error {
		_, err := n.DialWith(ctx, d, "udp", "silent.test.:53")
		return err
	})
	got(t, asked)
	cancel()
	err := got(t, end)
	require.ErrorIs(t, err, context.Canceled)
	require.IsType(t, &net.OpError{}, err)

	for _, network := range []string{"udp", "udp4", "udp6"} {
		c, err := n.Dial(context.Background(), network, "localhost:domain")
		if network == "udp6" && err != nil {
			continue // localhost may have no such address
		}
		require.NoError(t, err, network)
		require.Equal(t, "53", port(t, c.RemoteAddr()))
		require.NoError(t, c.Close())
	}
}

func port(t *testing.T, a net.Addr) string {
	_, p, err := net.SplitHostPort(a.String())
	require.NoError(t, err)
	return p
}
