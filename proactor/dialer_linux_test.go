package proactor_test

import (
	"context"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

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
