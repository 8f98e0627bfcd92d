package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask sends b while it receives, and checks what comes back. Any goroutine of a
// test may call it.
func ask(t *testing.T, c *net.TCPConn, b []byte) {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		sent <- err
	}()
	back := make([]byte, len(b))
	_, err := io.ReadFull(c, back)
	assert.NoError(t, err)
	assert.NoError(t, <-sent)
	assert.True(t, bytes.Equal(back, b), "%d bytes came back changed", len(b))
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestWhatIsSentComesBack(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		addr := serve(t, engine, 16<<10).String()
		var group sync.WaitGroup
		for range 8 {
			c := connect(t, addr)
			group.Go(func() {
				for _, n := range []int{1, 16<<10 - 1, 16 << 10, 16<<10 + 1, rand.IntN(1 << 20), 1 << 20} {
					ask(t, c, noise(n))
				}
			})
		}
		group.Wait()
	})
}

func TestTheBufferMayBeTiny(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		ask(t, connect(t, serve(t, engine, 1).String()), noise(1000))
	})
}

func TestTheEndOfTheStreamComesBackToo(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := connect(t, serve(t, engine, 4096).String())
		_, err := c.Write([]byte("the last words"))
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		b, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "the last words", string(b))
	})
}

func TestAResetConnectionHarmsNoOther(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		addr := serve(t, engine, 4096).String()
		c := connect(t, addr)
		ask(t, c, noise(100))
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		ask(t, connect(t, addr), noise(100))
	})
}

func TestARequestAllocatesNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := connect(t, serve(t, engine, 16<<10).String())
		out, in := noise(64), make([]byte, 64)
		var err error
		n := testing.AllocsPerRun(1000, func() {
			if _, err = c.Write(out); err == nil {
				_, err = io.ReadFull(c, in)
			}
		})
		require.NoError(t, err)
		require.Equal(t, out, in)
		require.Zero(t, n)
	})
}
