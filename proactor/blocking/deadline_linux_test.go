package blocking_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

// waiter is what waits under a deadline: each is tried in each of the tests below.
type waiter struct {
	name        string
	wait        func() error
	setDeadline func(time.Time) error
	release     func() // ends the wait without an error
}

func eachWaiter(t *testing.T, f func(t *testing.T, n *blocking.Net, w waiter)) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		c, d := pairOn(t, n, "unix")
		small(t, c, d)
		ln, err := n.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		p, err := n.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		raw, err := b.SyscallConn()
		require.NoError(t, err)
		for _, w := range []waiter{
			{"Read", func() error {
				_, err := a.Read(make([]byte, 1))
				return err
			}, a.SetReadDeadline, func() { _, _ = b.Write([]byte("x")) }},
			{"Write", func() error {
				_, err := c.Write(make([]byte, much))
				return err
			}, c.SetWriteDeadline, func() {
				go func() {
					for k := 0; k < much; {
						n, err := d.Read(make([]byte, 1<<20))
						if k += n; err != nil {
							return
						}
					}
				}()
			}},
			{"Accept", func() error {
				c, err := ln.Accept()
				if err == nil {
					err = c.Close()
				}
				return err
			}, ln.(*blocking.Listener).SetDeadline, func() {
				c, err := net.Dial("tcp", ln.Addr().String())
				require.NoError(t, err)
				require.NoError(t, c.Close())
			}},
			{"ReadFrom", func() error {
				_, _, err := p.ReadFrom(make([]byte, 1))
				return err
			}, p.SetReadDeadline, func() { _, _ = p.WriteTo([]byte("x"), p.LocalAddr()) }},
			{"raw Read", func() error {
				return raw.Read(func(fd uintptr) bool { return receiveNow(fd) == "y" })
			}, b.SetReadDeadline, func() { _, _ = a.Write([]byte("y")) }},
		} {
			t.Run(w.name, func(t *testing.T) { f(t, n, w) })
		}
		require.NoError(t, ln.Close())
		require.NoError(t, p.Close())
	})
}

func requireTimeout(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	var e net.Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.Timeout())
}

func TestADeadlineThatIsOverEndsCallsAtOnce(t *testing.T) {
	eachWaiter(t, func(t *testing.T, n *blocking.Net, w waiter) {
		for _, d := range []time.Time{past, time.Now(), time.Now().Add(-time.Hour), time.Unix(0, 1)} {
			require.NoError(t, w.setDeadline(d))
			requireTimeout(t, w.wait())
			requireTimeout(t, w.wait()) // and stays
		}
	})
}

func TestADeadlineEndsACallThatWaits(t *testing.T) {
	eachWaiter(t, func(t *testing.T, n *blocking.Net, w waiter) {
		begin := time.Now()
		require.NoError(t, w.setDeadline(begin.Add(30*time.Millisecond)))
		requireTimeout(t, got(t, async(w.wait)))
		require.GreaterOrEqual(t, time.Since(begin), 30*time.Millisecond)
	})
}

func TestADeadlineCanBeMovedWhileACallWaits(t *testing.T) {
	eachWaiter(t, func(t *testing.T, n *blocking.Net, w waiter) {
		require.NoError(t, w.setDeadline(time.Time{}))
		done := async(w.wait)
		blocked(t, n, 1)
		require.NoError(t, w.setDeadline(time.Now().Add(time.Hour))) // from none to far
		require.NoError(t, w.setDeadline(time.Now().Add(24*time.Hour)))
		blocked(t, n, 1)
		require.Empty(t, done)
		require.NoError(t, w.setDeadline(past)) // from far to now
		requireTimeout(t, got(t, done))
	})
}

func TestADeadlineThatIsPutOffDoesNotEndTheCall(t *testing.T) {
	eachWaiter(t, func(t *testing.T, n *blocking.Net, w waiter) {
		for _, to := range []time.Time{{}, time.Now().Add(time.Hour), time.Now().AddDate(1000, 0, 0)} {
			first := time.Now().Add(50 * time.Millisecond)
			require.NoError(t, w.setDeadline(first))
			done := async(w.wait)
			require.NoError(t, w.setDeadline(to))
			if time.Now().After(first) {
				t.Skip("the machine is too slow to put a deadline of 50 ms off")
			}
			select {
			case err := <-done:
				t.Fatal("it ended: ", err)
			case <-time.After(time.Until(first.Add(20 * time.Millisecond))):
			}
			blocked(t, n, 1)
			require.Empty(t, done)
			require.NoError(t, w.setDeadline(past))
			requireTimeout(t, got(t, done))
		}
	})
}

func TestAfterADeadlineACallCanBeMadeAnew(t *testing.T) {
	eachWaiter(t, func(t *testing.T, n *blocking.Net, w waiter) {
		require.NoError(t, w.setDeadline(past))
		requireTimeout(t, w.wait())
		require.NoError(t, w.setDeadline(time.Now().Add(patience)))
		done := async(w.wait)
		blocked(t, n, 1)
		w.release()
		require.NoError(t, got(t, done))
	})
}

// A deadline that ends a Write tears nothing: the count is right, and the rest can be
// written behind it.
func TestAWriteThatADeadlineEndsCanBeGoneOnWith(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		for _, network := range []string{"tcp", "unix"} {
			a, b := pairOn(t, n, network)
			small(t, a, b)
			all := pattern(0, much)
			sent := 0
			for range 3 {
				done := async(func() error {
					k, err := a.Write(all[sent:])
					sent += k
					return err
				})
				blocked(t, n, 1)
				require.NoError(t, a.SetWriteDeadline(past))
				requireTimeout(t, got(t, done))
				require.Positive(t, sent)
				require.Less(t, sent, much)
				require.NoError(t, a.SetWriteDeadline(time.Time{}))
			}
			read := async(func() error { return readPattern(b, much) })
			k, err := a.Write(all[sent:])
			require.NoError(t, err)
			require.Equal(t, much-sent, k)
			require.NoError(t, got(t, read))
		}
	})
}

// Whoever is behind in line has the deadline of the moment when it is his turn.
func TestADeadlineIsForThoseInLineToo(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, _ := pairOn(t, n, "tcp")
		var all []<-chan error
		for range 4 {
			all = append(all, async(func() error {
				_, err := a.Read(make([]byte, 1))
				return err
			}))
		}
		blocked(t, n, 1)
		require.NoError(t, a.SetDeadline(past))
		for _, c := range all {
			requireTimeout(t, got(t, c))
		}
	})
}
