package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { optest.Main(m) }

// patience is how long the tests wait for what must come.
const patience = 30 * time.Second

// bothEngines runs a test on each engine, with either way to wait.
func bothEngines(t *testing.T, f func(t *testing.T, n *blocking.Net)) {
	for _, name := range []string{"io_uring", "epoll"} {
		for _, netpoller := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/netpoller=%t", name, netpoller), func(t *testing.T) {
				n := netOn(t, name, netpoller)
				f(t, n)
				require.NoError(t, n.Close())
			})
		}
	}
}

// netOn returns a Net on an engine. Without io_uring it skips the test, unless that must
// be there.
func netOn(t *testing.T, engine string, netpoller bool) *blocking.Net {
	t.Helper()
	n, err := blocking.New(proactor.WithEngineName(engine), proactor.WithNetpoller(netpoller))
	if err != nil && engine == "io_uring" && os.Getenv("PROACTOR_TEST_RING") != "must" {
		t.Skip("no io_uring here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
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

// async runs f on a goroutine and sends its error.
func async(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

// blocked waits until so many operations are under way on the loop, those of the test
// that wait. No event tells that a goroutine has come to wait, so it looks again.
func blocked(t *testing.T, n *blocking.Net, count int) {
	t.Helper()
	for end := time.Now().Add(patience); inFlight(t, n) < count; time.Sleep(time.Millisecond) { // no event tells
		require.True(t, time.Now().Before(end), "%d of %d operations wait", inFlight(t, n), count)
	}
}

// inFlight asks on the loop, so that what was submitted before is counted.
func inFlight(t *testing.T, n *blocking.Net) int {
	t.Helper()
	c := make(chan int, 1)
	require.NoError(t, n.Loop().Post(func() { c <- n.Loop().Stats().InFlight }))
	return got(t, c)
}

// pairOn returns both ends of a connection of a Net; the test closes them.
func pairOn(t *testing.T, n *blocking.Net, network string) (a, b *blocking.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network != "tcp" {
		address = t.TempDir() + "/socket"
	}
	ln, err := n.Listen(network, address)
	require.NoError(t, err)
	accepted := make(chan net.Conn, 1)
	failed := async(func() error {
		c, err := ln.Accept()
		accepted <- c
		return err
	})
	c, err := n.Dial(context.Background(), network, ln.Addr().String())
	require.NoError(t, err)
	require.NoError(t, got(t, failed))
	require.NoError(t, ln.Close())
	a, b = c.(*blocking.Conn), (<-accepted).(*blocking.Conn)
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a, b
}

// pattern is n bytes of a stream, from an offset on, of which no piece looks like
// another near it.
func pattern(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((from + i) * 7919 >> 8)
	}
	return b
}

// much is more than the kernel takes for a connection whose buffers are small.
const much = 8 << 20

// small makes the kernel's buffers of a connection small.
func small(t *testing.T, both ...*blocking.Conn) {
	t.Helper()
	for _, c := range both {
		require.NoError(t, c.SetReadBuffer(64<<10))
		require.NoError(t, c.SetWriteBuffer(64<<10))
	}
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// readPattern reads n bytes of the pattern.
func readPattern(r io.Reader, n int) error {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if string(pattern(0, n)) != string(b) {
		return errors.New("the stream is torn")
	}
	return nil
}
