package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// eachWay runs a test on both engines, and with all ways of moving bytes.
func eachWay(t *testing.T, test func(t *testing.T, c config)) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for relay, name := range []string{"auto", "buffers", "splice"} {
			t.Run(name, func(t *testing.T) {
				c := usual(engine)
				c.relay = relay
				test(t, c)
			})
		}
	})
}

// Both sides send at once, in pieces of all sizes, and each checks what it gets.
func TestStreamsInBothDirectionsAtOnce(t *testing.T) {
	size := 4 << 20
	if testing.Short() {
		size = 1 << 20
	}
	up, down := noise(size+4321), noise(size+77)
	eachWay(t, func(t *testing.T, c config) {
		exchange := func(c *net.TCPConn, out, in []byte) {
			var wg sync.WaitGroup
			wg.Go(func() {
				for rest, n := out, 1; len(rest) > 0; n = n*5 + 1 {
					n = min(n%300_000, len(rest))
					_, err := c.Write(rest[:n])
					assert.NoError(t, err)
					rest = rest[n:]
				}
				assert.NoError(t, c.CloseWrite())
			})
			s, n, err := sumOf(c)
			assert.NoError(t, err)
			assert.EqualValues(t, len(in), n)
			assert.Equal(t, sum(in), s)
			wg.Wait()
		}
		var wg sync.WaitGroup
		b := startBackend(t, func(c *net.TCPConn) {
			exchange(c, down, up)
			wg.Done()
		})
		c.servers = []string{b.addr}
		p := serve(t, c)
		for range 4 {
			conn := connect(t, p.at)
			wg.Add(1)
			wg.Go(func() { exchange(conn, up, down) })
		}
		wg.Wait()
		all := p.gather()
		require.EqualValues(t, 4*len(up), all.bytesUp)
		require.EqualValues(t, 4*len(down), all.bytesDown)
		require.Zero(t, all.broken)
	})
}

// Trickles and streams take turns on one connection.
func TestADirectionChangesOverAndBack(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		p := serve(t, usual(engine, startBackend(t, echo).addr))
		c := connect(t, p.at)
		small, large := noise(64), noise(2<<20)
		for range 3 {
			for range 3 * trickle {
				ask(t, c, small)
			}
			ask(t, c, large)
		}
		all := p.gather()
		require.GreaterOrEqual(t, all.trickles, int64(6))
		require.GreaterOrEqual(t, all.streams, int64(4))
	})
}

func TestTheClientEndsItsSideFirst(t *testing.T) {
	question, answer := noise(1<<20), noise(3<<20)
	eachWay(t, func(t *testing.T, c config) {
		b := startBackend(t, func(c *net.TCPConn) {
			s, _, err := sumOf(c)
			assert.NoError(t, err)
			assert.Equal(t, sum(question), s)
			_, err = c.Write(answer)
			assert.NoError(t, err)
		})
		c.servers = []string{b.addr}
		conn := connect(t, serve(t, c).at)
		_, err := conn.Write(question)
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		s, _, err := sumOf(conn)
		require.NoError(t, err)
		require.Equal(t, sum(answer), s)
	})
}

func TestTheBackendEndsItsSideFirst(t *testing.T) {
	question, answer := noise(1<<20), noise(3<<20)
	eachWay(t, func(t *testing.T, c config) {
		sums := make(chan [32]byte, 1)
		b := startBackend(t, func(c *net.TCPConn) {
			_, err := c.Write(answer)
			assert.NoError(t, err)
			assert.NoError(t, c.CloseWrite())
			s, _, err := sumOf(c)
			assert.NoError(t, err)
			sums <- s
		})
		c.servers = []string{b.addr}
		conn := connect(t, serve(t, c).at)
		s, _, err := sumOf(conn)
		require.NoError(t, err)
		require.Equal(t, sum(answer), s)
		_, err = conn.Write(question)
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		require.Equal(t, sum(question), got(t, sums))
	})
}

func TestAClientsAbortIsAnAbort(t *testing.T) {
	eachWay(t, func(t *testing.T, c config) {
		ends := make(chan error, 1)
		b := startBackend(t, func(c *net.TCPConn) {
			_, _, err := sumOf(c)
			ends <- err
		})
		c.servers = []string{b.addr}
		conn := connect(t, serve(t, c).at)
		_, err := conn.Write(noise(100_000))
		require.NoError(t, err)
		require.NoError(t, conn.SetLinger(0))
		require.NoError(t, conn.Close())
		require.ErrorIs(t, got(t, ends), syscall.ECONNRESET)
	})
}

func TestABackendThatDiesMidStreamIsAnAbort(t *testing.T) {
	eachWay(t, func(t *testing.T, c config) {
		b := startBackend(t, func(c *net.TCPConn) {
			_, err := c.Read(make([]byte, 1))
			assert.NoError(t, err)
			_, err = c.Write(make([]byte, 1<<20))
			assert.NoError(t, err)
			assert.NoError(t, c.SetLinger(0))
		})
		c.servers = []string{b.addr}
		conn := connect(t, serve(t, c).at)
		_, err := conn.Write([]byte("?"))
		require.NoError(t, err)
		_, n, err := sumOf(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET, "a part isn't taken for the whole")
		require.LessOrEqual(t, n, int64(1<<20))
	})
}

// A server that has enough answers, and closes with input unread: that resets its
// connection, but the answer was sent before.
func TestALastAnswerComesThrough(t *testing.T) {
	answer := []byte("413 too large")
	eachWay(t, func(t *testing.T, c config) {
		b := startBackend(t, func(c *net.TCPConn) {
			_, err := io.ReadFull(c, make([]byte, 100))
			assert.NoError(t, err)
			_, err = c.Write(answer)
			assert.NoError(t, err)
			assert.NoError(t, c.CloseWrite())
		})
		c.servers = []string{b.addr}
		conn := connect(t, serve(t, c).at)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for piece := make([]byte, 64<<10); ; {
				if _, err := conn.Write(piece); err != nil {
					return
				}
			}
		}()
		b1 := make([]byte, len(answer))
		_, err := io.ReadFull(conn, b1)
		require.NoError(t, err)
		require.Equal(t, answer, b1)
		_, err = conn.Read(b1)
		require.ErrorIs(t, err, io.EOF, "the answer is whole: the end is an orderly one")
		require.NoError(t, conn.CloseWrite())
		got(t, sent)
	})
}

// slowly sends until it can't, and says how much; then the rest, when it is told to.
func slowly(t *testing.T, c *net.TCPConn, data []byte, stuck chan<- int, goOn <-chan struct{}) {
	n := 0
	for n < len(data) {
		_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		k, err := c.Write(data[n:min(n+64<<10, len(data))])
		if n += k; err != nil {
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			break
		}
	}
	stuck <- n
	<-goOn
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write(data[n:])
	assert.NoError(t, err)
}

func TestASlowReaderHoldsTheSenderBack(t *testing.T) {
	const readers = 4
	size := 32 << 20
	if testing.Short() {
		size = 16 << 20
	}
	data := noise(size)
	want := sum(data)
	eachWay(t, func(t *testing.T, c config) {
		if c.relay == relayAuto {
			return // it is one of the others
		}
		stuck, goOn := make(chan int, readers), make(chan struct{})
		b := startBackend(t, func(c *net.TCPConn) {
			assert.NoError(t, c.SetWriteBuffer(64<<10))
			slowly(t, c, data, stuck, goOn)
		})
		c.servers = []string{b.addr}
		p := serve(t, c)
		smallBuffers(t, p, 64<<10)
		before := heap()
		var conns []*net.TCPConn
		for range readers {
			conns = append(conns, connect(t, p.at))
		}
		for range readers {
			require.Less(t, got(t, stuck), size/2, "the sender is held back")
		}
		require.Less(t, heap(), before+4<<20, "%d readers are slow", readers)
		p.onLoop(t, func(w *worker) {
			for _, s := range w.sessions {
				assert.LessOrEqual(t, s.down.queued, highWater+poolBuffers*bufferSize)
			}
		})
		close(goOn)
		var wg sync.WaitGroup
		for _, conn := range conns {
			wg.Go(func() {
				s, n, err := sumOf(conn)
				assert.NoError(t, err)
				assert.EqualValues(t, size, n)
				assert.Equal(t, want, s)
			})
		}
		wg.Wait()
	})
}

// heap returns how much of the heap is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// smallBuffers keeps the kernel from buffering much for the clients of a proxy that are
// accepted from now on.
func smallBuffers(t *testing.T, p *served, n int) {
	for _, ln := range p.group.Listeners() {
		require.NoError(t, unix.SetsockoptInt(ln.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, n))
	}
}

// onLoop runs f on each loop.
func (s *served) onLoop(t *testing.T, f func(w *worker)) {
	for _, w := range s.workers {
		done := make(chan struct{})
		require.NoError(t, w.loop.Post(func() { f(w); close(done) }))
		got(t, done)
	}
}

// More clients than the loop's pool has Buffers don't read what is sent to them.
func TestManySlowReadersLeaveRoomForTheOthers(t *testing.T) {
	const readers = poolBuffers + 32
	data := noise(450_000)
	eachWay(t, func(t *testing.T, c config) {
		if c.relay == relayAuto {
			return // it is one of the others
		}
		stuck, goOn := make(chan int, readers), make(chan struct{})
		slow := startBackend(t, func(c *net.TCPConn) {
			first := make([]byte, 1)
			if _, err := c.Read(first); err != nil || first[0] == 'e' {
				_, _ = c.Write(first)
				echo(c)
				return
			}
			assert.NoError(t, c.SetWriteBuffer(4096))
			slowly(t, c, data, stuck, goOn)
		})
		c.servers = []string{slow.addr}
		p := serve(t, c)
		smallBuffers(t, p, 4096)
		var conns []*net.TCPConn
		for range readers {
			conn, err := (&net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
			}}).Dial("tcp", p.at)
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write([]byte("s"))
			require.NoError(t, err)
			conns = append(conns, conn.(*net.TCPConn))
		}
		held := 0
		for range readers {
			if got(t, stuck) < len(data) {
				held++
			}
		}
		require.Greater(t, held, poolBuffers, "so many are held back")
		other := connect(t, p.at)
		ask(t, other, append([]byte("e"), noise(10_000)...))
		close(goOn)
		var wg sync.WaitGroup
		for _, conn := range conns {
			_ = conn.SetDeadline(time.Now().Add(patience))
			wg.Go(func() {
				b := make([]byte, len(data))
				_, err := io.ReadFull(conn, b)
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(b, data))
			})
		}
		wg.Wait()
	})
}

func TestARequestAllocatesNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, size := range []int{64, 300_000} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				c := connect(t, serve(t, usual(engine, startBackend(t, echo).addr)).at)
				out, in := noise(size), make([]byte, size)
				exchange := func() {
					if _, err := c.Write(out); err != nil {
						t.Error(err)
					}
					if _, err := io.ReadFull(c, in); err != nil {
						t.Error(err)
					}
				}
				for range 100 {
					exchange()
				}
				require.Zero(t, testing.AllocsPerRun(300, exchange))
				require.Equal(t, out, in)
			})
		}
	})
}

func TestAnIdleSessionEndsAndABusyOneDoesnt(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := usual(engine, startBackend(t, echo).addr)
		c.idle = 400 * time.Millisecond
		p := serve(t, c)
		idle, busy := connect(t, p.at), connect(t, p.at)
		ask(t, idle, noise(10))
		ended := make(chan error, 1)
		go func() {
			_, err := idle.Read(make([]byte, 1))
			ended <- err
		}()
		begun := time.Now()
		for {
			ask(t, busy, noise(10))
			select {
			case err := <-ended:
				require.ErrorIs(t, err, io.EOF)
				require.GreaterOrEqual(t, time.Since(begun), c.idle/2)
				ask(t, busy, noise(10))
				require.EqualValues(t, 1, p.gather().idle)
				return
			case <-time.After(time.Millisecond):
			}
			require.Less(t, time.Since(begun), patience)
		}
	})
}

// An idle session whose client doesn't read is reset: what it has isn't all.
func TestAStuckSessionIsAborted(t *testing.T) {
	// Made beforehand: to make it can take a backend longer than a session may be idle.
	much := noise(64 << 20)
	eachWay(t, func(t *testing.T, c config) {
		ends := make(chan error, 1)
		b := startBackend(t, func(c *net.TCPConn) {
			_, err := c.Write(much)
			ends <- err
		})
		c.servers, c.idle = []string{b.addr}, 300*time.Millisecond
		conn := connect(t, serve(t, c).at)
		_, err := io.ReadFull(conn, make([]byte, 1)) // it has begun
		require.NoError(t, err)
		err = got(t, ends)
		require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
		_, _, err = sumOf(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}
