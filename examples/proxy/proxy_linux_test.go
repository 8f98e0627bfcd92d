package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// named is a backend that says its name, and then sends back what it gets.
func named(t *testing.T, name string) *behind {
	return startBackend(t, func(c *net.TCPConn) {
		if _, err := io.WriteString(c, name); err == nil {
			echo(c)
		}
	})
}

// whose returns the name that a backend says, of one letter.
func whose(t *testing.T, c net.Conn) string {
	t.Helper()
	b := make([]byte, 1)
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	return string(b)
}

// turnedAway checks that the proxy resets a client.
func turnedAway(t *testing.T, at string) {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err == nil {
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = c.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestBackendsTakeTurns(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		p := serve(t, usual(engine, named(t, "a").addr, named(t, "b").addr, named(t, "c").addr))
		order := ""
		for range 6 {
			order += whose(t, connect(t, p.at))
		}
		require.Equal(t, "abcabc", order)
	})
}

func TestTheLeastConnectedBackendIsChosen(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, named(t, "a").addr, named(t, "b").addr)
		c.least = true
		p := serve(t, c)
		one, two := connect(t, p.at), connect(t, p.at)
		kept := whose(t, one)
		other := whose(t, two)
		require.NotEqual(t, kept, other)
		for range 4 {
			two.Close()
			require.Eventually(t, func() bool { return p.placed.Load() == 1 }, patience, time.Millisecond)
			two = connect(t, p.at)
			require.Equal(t, other, whose(t, two))
		}
	})
}

func TestARefusalLeadsToTheNextBackend(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		p := serve(t, usual(engine, refusing(t), refusing(t), named(t, "c").addr))
		for range 3 {
			require.Equal(t, "c", whose(t, connect(t, p.at)))
		}
		require.EqualValues(t, 3*2, p.gather().retries)
	})
}

func TestRetriesAreBounded(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, refusing(t), refusing(t), named(t, "c").addr)
		c.retries = 1
		p := serve(t, c)
		turnedAway(t, p.at)
		p.said.says(t, "2 connects failed")
		require.EqualValues(t, 1, p.gather().refused)
	})
}

func TestAConnectHasALimit(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, deaf(t), named(t, "b").addr)
		c.connect = 200 * time.Millisecond
		p := serve(t, c)
		require.Equal(t, "b", whose(t, connect(t, p.at)))
		all := p.gather()
		require.EqualValues(t, 1, all.retries)
		require.Contains(t, all.backends[0], "failures 1")
	})
}

func TestAllDown(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, refusing(t), refusing(t))
		c.check = minCheck
		p := serve(t, c)
		for _, b := range p.balancer.backends() {
			p.said.says(t, b.address+" is down")
		}
		turnedAway(t, p.at)
		p.said.says(t, errDown.Error())
	})
}

func TestHealthChecksMarkDownAndUp(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		a, b := named(t, "a"), named(t, "b")
		c := usual(engine, a.addr, b.addr)
		c.check, c.retries = minCheck, 0
		p := serve(t, c)
		a.ln.Close()
		p.said.says(t, a.addr+" is down")
		for range 4 {
			require.Equal(t, "b", whose(t, connect(t, p.at)))
		}
		ln, err := net.Listen("tcp", a.addr)
		require.NoError(t, err)
		startBackendOn(t, ln, func(c *net.TCPConn) { _, _ = io.WriteString(c, "a") })
		p.said.says(t, a.addr+" is up")
		both := whose(t, connect(t, p.at)) + whose(t, connect(t, p.at))
		require.True(t, both == "ab" || both == "ba", both)
	})
}

// Clients come and go while the list changes: each of them is served.
func TestAReloadUnderLoadLosesNoConnection(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	harness.EachEngine(t, func(t *testing.T, engine string) {
		a, b, c := named(t, "a").addr, named(t, "b").addr, named(t, "c").addr
		file := listFile(t, a, b)
		conf := usual(engine)
		conf.servers, conf.file, conf.loops, conf.check = nil, file, 2, 50*time.Millisecond
		p := serve(t, conf)
		long := connect(t, p.at)
		first := whose(t, long)
		var over atomic.Bool
		var served atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for !over.Load() {
					conn, err := net.Dial("tcp", p.at)
					if !assert.NoError(t, err) {
						return
					}
					_ = conn.SetDeadline(time.Now().Add(patience))
					_, err = io.ReadFull(conn, make([]byte, 1))
					assert.NoError(t, err)
					ask(t, conn, noise(1000))
					conn.Close()
					served.Add(1)
				}
			})
		}
		lists := [][]string{{a, c}, {c}, {b, c}, {a, b}}
		for i := range rounds {
			writeList(t, file, lists[i%len(lists)]...)
			before := strings.Count(p.said.String(), "reload:")
			p.reload()
			require.Eventually(t, func() bool { return strings.Count(p.said.String(), "reload:") > before }, patience, time.Millisecond)
			n := served.Load() // and some are served with this list
			require.Eventually(t, func() bool { return served.Load() > n+4 }, patience, time.Millisecond)
		}
		over.Store(true)
		wg.Wait()
		ask(t, long, noise(100_000)) // it goes on, whether its backend is in the list or not
		require.Contains(t, "ab", first)
		all := p.gather()
		require.Zero(t, all.refused)
		require.Zero(t, all.broken)
		require.Contains(t, p.said.String(), "connections go on to their end")
	})
}

func TestABadListKeepsTheOldOne(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := listFile(t, named(t, "a").addr)
		c := usual(engine)
		c.servers, c.file = nil, file
		p := serve(t, c)
		for _, bad := range []string{"nonsense", "# nobody", "127.0.0.1:80 colour=red"} {
			writeList(t, file, bad)
			before := strings.Count(p.said.String(), "the old list stays")
			p.reload()
			require.Eventually(t, func() bool { return strings.Count(p.said.String(), "the old list stays") > before }, patience, time.Millisecond)
			require.Equal(t, "a", whose(t, connect(t, p.at)))
		}
		p.said.says(t, "line 1: colour=red: no such option; the old list stays")
	})
}

func TestALimitOnSessionsPausesAccepting(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		b := named(t, "a")
		c := usual(engine, b.addr)
		c.most = 2
		p := serve(t, c)
		one, two := connect(t, p.at), connect(t, p.at)
		whose(t, one)
		whose(t, two)
		for range 10 { // by then the pause has begun
			ask(t, one, noise(10))
		}
		var others []*net.TCPConn
		for range 5 {
			others = append(others, connect(t, p.at))
		}
		for range 10 {
			ask(t, one, noise(10))
		}
		require.EqualValues(t, 2, p.gather().accepted, "the others are in the backlog")
		require.EqualValues(t, 2, b.count.Load())
		require.EqualValues(t, 2, p.placed.Load())
		one.Close()
		for _, o := range others {
			require.Equal(t, "a", whose(t, o))
			o.Close()
		}
		ask(t, two, noise(1000))
	})
}

func TestALimitOfABackendIsKept(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		a, b := named(t, "a"), named(t, "b")
		p := serve(t, usual(engine, a.addr+" max=1", b.addr+" max=1"))
		one, two, three := connect(t, p.at), connect(t, p.at), connect(t, p.at)
		first, second := whose(t, one), whose(t, two)
		require.NotEqual(t, first, second)
		require.Eventually(t, func() bool { return p.waiting.Load() == 1 }, patience, time.Millisecond)
		two.Close()
		require.Equal(t, second, whose(t, three))
	})
}

func TestWhoWaitsForRoomWaitsForSomeTimeOnly(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, named(t, "a").addr+" max=1")
		c.connect = 200 * time.Millisecond
		p := serve(t, c)
		one := connect(t, p.at)
		whose(t, one)
		turnedAway(t, p.at)
		p.said.says(t, "no room in time")
		ask(t, one, noise(10))
	})
}

func TestLoopsShareTheBackends(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, named(t, "a").addr, named(t, "b").addr)
		c.loops = 3
		p := serve(t, c)
		count := map[string]int{}
		for range 30 {
			conn := connect(t, p.at)
			count[whose(t, conn)]++
			ask(t, conn, noise(1000))
		}
		require.Equal(t, map[string]int{"a": 15, "b": 15}, count)
		require.EqualValues(t, 30, p.gather().accepted)
	})
}

// heard is a backend that keeps what the first connection sent, to its end.
func heard(t *testing.T) (addr string, all chan string) {
	all = make(chan string, 1)
	b := startBackend(t, func(c *net.TCPConn) {
		b, err := io.ReadAll(c)
		assert.NoError(t, err)
		all <- string(b)
	})
	return b.addr, all
}

func TestProxyHeaders(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(t.TempDir(), "s")
		for _, x := range []struct{ listen, v1, v2 string }{
			{"127.0.0.1:0", "PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", "21" + "11" + "000c" + "7f000001" + "7f000001" + "%04x%04x"},
			{"[::1]:0", "PROXY TCP6 ::1 ::1 %d %d\r\n", "21" + "21" + "0024" + strings.Repeat("0", 31) + "1" + strings.Repeat("0", 31) + "1" + "%04x%04x"},
			{"unix:" + path, "PROXY UNKNOWN\r\n", "21" + "00" + "0000"},
		} {
			for version := 1; version <= 2; version++ {
				addr, all := heard(t)
				c := usual(engine, fmt.Sprintf("%s send-proxy=v%d", addr, version))
				if c.listen = x.listen; strings.HasPrefix(x.listen, "unix:") {
					c.listen += fmt.Sprint(version)
				}
				p := serve(t, c)
				conn, err := net.Dial(p.addr.Network(), p.addr.String())
				require.NoError(t, err)
				want := x.v1
				if version == 2 {
					want = x.v2
				}
				if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
					want = fmt.Sprintf(want, a.Port, p.addr.(*net.TCPAddr).Port)
				}
				if version == 2 {
					b, err := hex.DecodeString("0d0a0d0a000d0a515549540a" + want)
					require.NoError(t, err)
					want = string(b)
				}
				body := string(noise(50_000))
				_, err = io.WriteString(conn, body)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				said := got(t, all)
				require.Equal(t, want, said[:min(len(want), len(said))])
				require.True(t, said[len(want):] == body)
			}
		}
	})
}

func TestABackendMayBeAUnixSocket(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(t.TempDir(), "s")
		ln, err := net.Listen("unix", path)
		require.NoError(t, err)
		defer ln.Close()
		data := noise(2 << 20)
		go func() {
			c, err := ln.Accept()
			if assert.NoError(t, err) {
				_, _ = io.Copy(c, c)
				c.Close()
			}
		}()
		p := serve(t, usual(engine, "unix:"+path))
		c := connect(t, p.at)
		ask(t, c, data)
		require.NoError(t, c.CloseWrite())
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}
