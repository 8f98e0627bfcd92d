package main

import (
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestListsOfBackends(t *testing.T) {
	all, err := parseBackends("# a list\n\n 127.0.0.1:9001 # the first\n[::1]:9002 max=7 send-proxy=v2\r\nunix:/run/s send-proxy=v1\nname.example:80\n")
	require.NoError(t, err)
	var lines []string
	for _, b := range all {
		lines = append(lines, b.String())
	}
	require.Equal(t, []string{"127.0.0.1:9001", "[::1]:9002 max=7 send-proxy=v2", "unix:/run/s send-proxy=v1", "name.example:80"}, lines)
	require.Equal(t, "unix", all[2].network)
	for text, want := range map[string]string{
		"":                                 "no backend",
		"# nothing":                        "no backend",
		"127.0.0.1":                        "line 1: address 127.0.0.1: missing port in address",
		"a:1\nb:0":                         "line 2: b:0: want host:port",
		"a:70000":                          "line 1: a:70000: want host:port",
		":80":                              "line 1: :80: want host:port",
		"a:1\na:1":                         "line 2: a:1 is there twice",
		"a:1 max=0":                        "line 1: max=0: want a number of connections",
		"a:1 max=x":                        "line 1: max=x: want a number of connections",
		"a:1 send-proxy=v3":                "line 1: send-proxy=v3: no such option",
		"unix:":                            `line 1: "" is no name of a socket`,
		"unix:" + strings.Repeat("x", 108): `line 1: "` + strings.Repeat("x", 108) + `" is no name of a socket`,
	} {
		_, err := parseBackends(text)
		require.EqualError(t, err, want, text)
	}
}

func FuzzListsOfBackends(f *testing.F) {
	for _, seed := range []string{"a:1", "[::1]:2 max=3 send-proxy=v1\nunix:/x # c", "a:1\n\n#\nb:2 max=", "\x00:1", "unix:a\tmax=9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseBackends(text)
		if err != nil {
			return
		}
		var lines []string
		for _, b := range all {
			lines = append(lines, b.line)
		}
		again, err := parseBackends(strings.Join(lines, "\n"))
		require.NoError(t, err)
		require.Len(t, again, len(all))
		for i, b := range again {
			require.Equal(t, all[i].line, b.line)
		}
	})
}

func TestHeadersOfMixedAddressesAreUnknown(t *testing.T) {
	four, six := netip.MustParseAddrPort("10.0.0.1:65535"), netip.MustParseAddrPort("[fe80::1%1]:1")
	require.Equal(t, "PROXY UNKNOWN\r\n", string(appendHeader(nil, 1, four, six)))
	require.Equal(t, signature+"\x21\x00\x00\x00", string(appendHeader(nil, 2, netip.AddrPort{}, four)))
	require.Equal(t, "PROXY TCP6 fe80::1 fe80::1 1 1\r\n", string(appendHeader(nil, 1, six, six)))
	require.Equal(t, "xPROXY TCP4 10.0.0.1 10.0.0.1 65535 65535\r\n", string(appendHeader([]byte("x"), 1, four, four)))
}

func FuzzHeaders(f *testing.F) {
	f.Add(1, []byte{127, 0, 0, 1}, []byte{10, 0, 0, 1}, uint16(1), uint16(65535))
	f.Add(2, make([]byte, 16), make([]byte, 16), uint16(80), uint16(0))
	f.Add(1, []byte{1}, make([]byte, 4), uint16(80), uint16(9))
	f.Fuzz(func(t *testing.T, version int, src, dst []byte, sport, dport uint16) {
		from, _ := netip.AddrFromSlice(src)
		to, _ := netip.AddrFromSlice(dst)
		b := appendHeader(nil, version, netip.AddrPortFrom(from, sport), netip.AddrPortFrom(to, dport))
		require.LessOrEqual(t, len(b), maxHeader)
		if version == 1 {
			require.Equal(t, 1, strings.Count(string(b), "\r\n"))
			require.True(t, strings.HasPrefix(string(b), "PROXY ") && strings.HasSuffix(string(b), "\r\n"))
		} else {
			require.Equal(t, len(b), 16+int(b[14])<<8+int(b[15]))
		}
	})
}

func balanced(t *testing.T, text string, least bool) *balancer {
	all, err := parseBackends(text)
	require.NoError(t, err)
	l := &balancer{least: least}
	l.list.Store(&all)
	return l
}

func TestTheChoiceOfABackend(t *testing.T) {
	l := balanced(t, "a:1\nb:1 max=1\nc:1", false)
	all := l.backends()
	choose := func(tried ...*backend) string {
		b, err := l.choose(tried)
		if err != nil {
			return err.Error()
		}
		return b.address
	}
	require.Equal(t, "a:1 b:1 c:1 a:1 c:1", strings.Join([]string{choose(), choose(), choose(), choose(), choose()}, " "), "b is full")
	all[0].down.Store(true)
	require.Equal(t, "c:1", choose())
	require.Equal(t, errFull.Error(), choose(all[2]))
	all[1].down.Store(true)
	require.Equal(t, errDown.Error(), choose(all[2]))
	all[1].down.Store(false)
	all[1].open.Store(0)
	require.Equal(t, "b:1", choose(all[2]))

	l = balanced(t, "a:1\nb:1\nc:1", true)
	for i, b := range l.backends() {
		b.open.Store(int64(3 - i))
	}
	require.Equal(t, "c:1", choose())
	require.Equal(t, "b:1", choose(l.backends()[2]))
}

func TestAReloadKeepsWhatIsTheSame(t *testing.T) {
	l := balanced(t, "a:1\nb:1\nc:1", false)
	old := l.backends()
	fresh, err := parseBackends("c:1\nb:1 max=3\nd:1")
	require.NoError(t, err)
	added, removed := l.replace(fresh)
	require.Equal(t, []*backend{fresh[1], fresh[2]}, added, "a changed line is a new backend")
	require.Equal(t, []*backend{old[0], old[1]}, removed)
	require.Same(t, old[2], l.backends()[0])
	require.True(t, old[0].removed.Load())
	require.False(t, old[2].removed.Load())
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"", "-backends f a:1", "-balance random a:1", "-relay mail a:1", "-max -1 a:1", "-retries -1 a:1",
		"-connect 0 a:1", "-check 1ms a:1", "-rise 0 a:1", "-no"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
	c, err := parse(strings.Fields("-balance leastconn -idle 3s a:1 b:2"), io.Discard)
	require.NoError(t, err)
	require.True(t, c.least)
	require.Equal(t, 3*time.Second, c.idle)
	require.Equal(t, []string{"a:1", "b:2"}, c.servers)
	_, err = newProxy(config{servers: []string{"nonsense"}}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "line 1")
	_, err = newProxy(config{servers: []string{"a:1"}, engine: "kqueue", idle: 1, connect: 1}, io.Discard, io.Discard)
	require.ErrorContains(t, err, `unknown engine "kqueue"`)
}

// A place that is given back while the gate is being closed opens it again. Of so many
// turns, as far as two processors are there, one or another hits the moment.
func TestTheGateIsOpenWhenThereIsAPlace(t *testing.T) {
	p := &proxy{config: config{most: 2}}
	p.placed.Store(1)
	p.gate.init(p, nil)
	var turn, done atomic.Int64
	go func() {
		for i := int64(1); ; i++ {
			for turn.Load() < i {
				if turn.Load() < 0 {
					return
				}
			}
			p.placed.Add(-1)
			p.freed()
			done.Store(i)
		}
	}()
	defer turn.Store(-1)
	until := time.Now().Add(time.Second)
	for i := int64(1); time.Now().Before(until); i++ {
		turn.Store(i)
		p.place()
		for done.Load() < i {
		}
		require.EqualValues(t, 1, p.placed.Load())
		require.False(t, p.gate.closed.Load())
	}
}
