package interop

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

// patience is how long the tests wait for what must come.
const patience = 30 * time.Second

// bothEngines runs a test on each engine, whose loop waits in Go's netpoller: on io_uring
// unless it is missing (and needn't be there), and on epoll.
func bothEngines(t *testing.T, f func(t *testing.T, n *blocking.Net)) {
	eachEngine(t, f, true)
}

// eachDriver runs a test on each engine with each driver.
func eachDriver(t *testing.T, f func(t *testing.T, n *blocking.Net)) {
	t.Run("netpoller", func(t *testing.T) { eachEngine(t, f, true) })
	t.Run("locked", func(t *testing.T) { eachEngine(t, f, false) })
}

func eachEngine(t *testing.T, f func(t *testing.T, n *blocking.Net), netpoller bool) {
	for _, name := range []string{"io_uring", "epoll"} {
		if only := os.Getenv(proactor.EngineVar); only != "" && only != "auto" && only != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			n, err := blocking.New(proactor.WithEngineName(name), proactor.WithNetpoller(netpoller))
			if err != nil && name == "io_uring" && os.Getenv("PROACTOR_TEST_RING") != "must" {
				t.Skip("no io_uring here: ", err)
			}
			require.NoError(t, err)
			f(t, n)
			require.NoError(t, n.Close())
			noneLeft(t)
		})
	}
}

// noneLeft fails if a goroutine of the library is left. No event tells that one is
// gone, so it looks again for a while.
func noneLeft(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // no event tells
		left := ours()
		if left == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("goroutines left:\n" + left)
		}
	}
}

func ours() (left string) {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, g := range strings.Split(string(buf), "\n\n")[1:] {
		if strings.Contains(g, "go-proactor/proactor") {
			left += g + "\n\n"
		}
	}
	return left
}

// listen listens on loopback until the test ends.
func listen(t *testing.T, n *blocking.Net) net.Listener {
	t.Helper()
	ln, err := n.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return ln
}

// soon is a context that ends when the test has waited long enough.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func closing(t *testing.T, c io.Closer) {
	t.Helper()
	require.NoError(t, c.Close())
}
