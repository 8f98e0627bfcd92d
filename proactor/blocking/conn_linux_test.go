package blocking_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

func TestAConnectionCarriesALongStreamBothWays(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		for _, network := range []string{"tcp", "unix"} {
			a, b := pairOn(t, n, network)
			var all []<-chan error
			for _, c := range []*blocking.Conn{a, b} {
				all = append(all, async(func() error {
					if _, err := c.Write(pattern(0, much)); err != nil {
						return err
					}
					return c.CloseWrite()
				}), async(func() error {
					if err := readPattern(c, much); err != nil {
						return err
					}
					_, err := c.Read(make([]byte, 1))
					if err == io.EOF {
						err = nil
					}
					return err
				}))
			}
			for _, c := range all {
				require.NoError(t, got(t, c))
			}
		}
	})
}

func TestAHalfClosedConnectionStillReads(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		require.NoError(t, a.CloseWrite())
		_, err := b.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		_, err = a.Write([]byte("x"))
		require.ErrorContains(t, err, "write: broken pipe")
		_, err = b.Write([]byte("answer"))
		require.NoError(t, err)
		require.NoError(t, b.Close())
		all, err := io.ReadAll(a)
		require.NoError(t, err)
		require.Equal(t, "answer", string(all))
	})
}

func TestCloseReadEndsAReadThatWaits(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, _ := pairOn(t, n, "tcp")
		read := async(func() error {
			_, err := a.Read(make([]byte, 1))
			return err
		})
		blocked(t, n, 1)
		require.NoError(t, a.CloseRead())
		require.Equal(t, io.EOF, got(t, read))
	})
}

func TestReadIntoAnEmptySliceDoesNotWait(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, _ := pairOn(t, n, "tcp")
		k, err := a.Read(nil)
		require.NoError(t, err)
		require.Zero(t, k)
		k, err = a.Write(nil)
		require.NoError(t, err)
		require.Zero(t, k)
		require.NoError(t, a.Close())
		_, err = a.Read(nil)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = a.Write(nil)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// Each writer's piece must arrive whole, each reader gets some of the bytes.
func TestManyMayReadAndWriteAtOnce(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		small(t, a, b)
		const writers, piece = 8, 100_000
		var wrote sync.WaitGroup
		for i := range writers {
			wrote.Go(func() {
				p := make([]byte, piece)
				for k := range p {
					p[k] = byte(i)
				}
				if _, err := a.Write(p); err != nil {
					t.Error(err)
				}
			})
		}
		var sum [writers]int
		one := make([]byte, piece)
		for range writers {
			_, err := io.ReadFull(b, one)
			require.NoError(t, err)
			for _, x := range one {
				require.Equal(t, one[0], x, "a piece has another's bytes")
			}
			sum[one[0]]++
		}
		for _, k := range sum {
			require.Equal(t, 1, k)
		}
		wrote.Wait()

		var mu sync.Mutex
		total := 0
		var read sync.WaitGroup
		for range 8 {
			read.Go(func() {
				p := make([]byte, 1000)
				for {
					k, err := b.Read(p)
					mu.Lock()
					total += k
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		_, err := a.Write(pattern(0, 1<<20))
		require.NoError(t, err)
		require.NoError(t, a.CloseWrite())
		read.Wait()
		require.Equal(t, 1<<20, total)
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		small(t, a, b)
		ln, err := n.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		p, err := n.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		var all []<-chan error
		for range 2 { // the second of each waits in line
			all = append(all, async(func() error {
				_, err := a.Read(make([]byte, 1))
				return err
			}), async(func() error {
				k, err := a.Write(make([]byte, much))
				if k == much {
					t.Error("it was written")
				}
				return err
			}), async(func() error {
				_, err := ln.Accept()
				return err
			}), async(func() error {
				_, _, err := p.ReadFrom(make([]byte, 1))
				return err
			}))
		}
		blocked(t, n, 4)
		for _, c := range []io.Closer{a, ln, p} {
			require.NoError(t, c.Close())
			require.ErrorIs(t, c.Close(), net.ErrClosed)
		}
		for _, c := range all {
			require.ErrorIs(t, got(t, c), net.ErrClosed)
		}
	})
}

func TestCloseOfTheNetEndsWhatWaits(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, _ := pairOn(t, n, "tcp")
		ln, err := n.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		read := async(func() error {
			_, err := a.Read(make([]byte, 1))
			return err
		})
		accepted := async(func() error {
			_, err := ln.Accept()
			return err
		})
		blocked(t, n, 2)
		require.NoError(t, n.Close())
		require.ErrorIs(t, got(t, read), net.ErrClosed)
		require.ErrorIs(t, got(t, accepted), net.ErrClosed)
		_, err = a.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = n.Dial(context.Background(), "tcp", ln.Addr().String())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = n.Open("/dev/null")
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

// Both ends of each connection read, so that 10,000 goroutines wait on as many
// descriptors. One end is closed: its read ends, and so does that of the other.
func TestTenThousandReadsThatWaitEnd(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		count := 5000
		if room := descriptors(t); 2*count > room-200 {
			count = (room - 200) / 2
			t.Logf("%d connections: no more descriptors are allowed", count)
		}
		ln, err := n.Listen("unix", t.TempDir()+"/socket")
		require.NoError(t, err)
		accepted := make(chan net.Conn)
		failed := async(func() error {
			for range count {
				c, err := ln.Accept()
				if err != nil {
					return err
				}
				accepted <- c
			}
			return nil
		})
		var near, far []net.Conn
		var read sync.WaitGroup
		reads := func(c net.Conn) net.Conn {
			read.Go(func() {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("it read something")
				}
			})
			return c
		}
		for range count {
			c, err := n.Dial(context.Background(), "unix", ln.Addr().String())
			require.NoError(t, err)
			near, far = append(near, reads(c)), append(far, reads(got(t, accepted)))
		}
		require.NoError(t, got(t, failed))
		blocked(t, n, 2*count)
		for i, c := range near {
			if i%2 == 0 {
				c = far[i]
			}
			require.NoError(t, c.Close())
		}
		read.Wait()
		require.Zero(t, inFlight(t, n))
		for i := range near {
			_, _ = near[i].Close(), far[i].Close()
		}
		require.NoError(t, ln.Close())
		require.Zero(t, n.Loop().Stats().Handles)
	})
}

func TestSyscallConnWaitsByTheLoop(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		raw, err := a.SyscallConn()
		require.NoError(t, err)
		calls := 0
		read := async(func() error {
			return raw.Read(func(fd uintptr) bool {
				calls++
				return receiveNow(fd) == "ready"
			})
		})
		blocked(t, n, 1)
		_, err = b.Write([]byte("ready"))
		require.NoError(t, err)
		require.NoError(t, got(t, read))
		require.Equal(t, 2, calls)

		require.NoError(t, a.SetReadDeadline(past))
		err = raw.Read(func(uintptr) bool { return false })
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, a.SetReadDeadline(time.Time{}))
		wrote := 0
		require.NoError(t, raw.Write(func(uintptr) bool { wrote++; return wrote == 3 }), "there is always room")
		require.NoError(t, a.Close())
		err = raw.Control(func(uintptr) { t.Error("the descriptor is closed") })
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestAddressesAreThere(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		for _, network := range []string{"tcp", "unix", "unixpacket"} {
			a, b := pairOn(t, n, network)
			require.Equal(t, a.LocalAddr().String(), b.RemoteAddr().String())
			require.Equal(t, b.LocalAddr().String(), a.RemoteAddr().String())
			require.Equal(t, network, a.LocalAddr().Network())
			require.NoError(t, a.Close())
			require.NotNil(t, a.RemoteAddr(), "also after the close")
		}
	})
}

// A Read after one that filled its slice is tried at once: it has the same results.
func TestAReadThatIsTriedAtOnceHasDeadlinesAndAnEnd(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		for _, network := range []string{"tcp", "unix"} {
			a, b := pairOn(t, n, network)
			_, err := b.Write([]byte("onetwo"))
			require.NoError(t, err)
			require.NoError(t, b.CloseWrite())
			p := make([]byte, 3)
			read := func() string {
				_, err := io.ReadFull(a, p)
				require.NoError(t, err)
				return string(p)
			}
			require.Equal(t, "one", read())
			require.NoError(t, a.SetReadDeadline(past))
			_, err = a.Read(p)
			requireTimeout(t, err)
			require.NoError(t, a.SetReadDeadline(time.Time{}))
			require.Equal(t, "two", read())
			k, err := a.Read(p)
			require.Equal(t, io.EOF, err)
			require.Zero(t, k)
		}
	})
}
