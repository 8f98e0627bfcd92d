package main

import (
	"io"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask sends a request of this first byte and reads the answer.
func ask(conn net.Conn, first byte) error {
	b := make([]byte, 64)
	b[0] = first
	if _, err := conn.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, b)
	return err
}

func TestASlowRequestTakesItsTime(t *testing.T) {
	for _, arm := range slices.Sorted(maps.Keys(slowArms)) {
		t.Run(arm, func(t *testing.T) {
			needRing(t, arm)
			l := load{Kind: slow, Conns: 8, Size: 64}
			c := serving(t, l.server(arm))
			conn := dial(t, c.addr)
			require.NoError(t, ask(conn, 0))
			begun := time.Now()
			require.NoError(t, ask(conn, slowMark))
			require.GreaterOrEqual(t, time.Since(begun), slowTime)
			require.NoError(t, briefly(l, c))
		})
	}
}

// overtakes tells whether a request was answered while the server was busy with a
// slow one that it got before.
func overtakes(t *testing.T, a, b net.Conn) bool {
	request := make([]byte, 64)
	request[0] = slowMark
	begun := time.Now()
	_, err := a.Write(request)
	require.NoError(t, err)
	require.NoError(t, ask(b, 0))
	took := time.Since(begun)
	_, err = io.ReadFull(a, request)
	require.NoError(t, err)
	return took < slowTime
}

// Most do; on a machine that is busy it takes more tries to see some.
func TestWorkersAndGoroutinesLetOthersOvertakeASlowRequest(t *testing.T) {
	for _, arm := range []string{"net", "io_uring-workers", "epoll-workers"} {
		t.Run(arm, func(t *testing.T) {
			needRing(t, arm)
			c := serving(t, load{Kind: slow}.server(arm))
			a, b := dial(t, c.addr), dial(t, c.addr)
			overtook := 0
			for i := 0; i < 2000 && overtook < 20; i++ {
				if overtakes(t, a, b) {
					overtook++
				}
			}
			require.Equal(t, 20, overtook)
		})
	}
}

func TestOneRequestInSoManyIsSlowAndItsTimeIsNotCounted(t *testing.T) {
	g := &generator{load: load{Kind: slow, Size: 64, Conns: 1, Active: 1}}
	x := newClient(g, nil)
	marked := 0
	for range 10 * slowEvery {
		g.stamp(x.out)
		x.mark()
		require.Equal(t, x.slow, isSlow(x.out))
		if x.slow {
			marked++
		}
		x.count()
	}
	require.Equal(t, 10, marked)
	require.Equal(t, 10*slowEvery, g.requests)
	require.Equal(t, 10*slowEvery-marked, g.latencies.n)
}
