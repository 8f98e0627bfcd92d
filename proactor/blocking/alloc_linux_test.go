package blocking_test

import (
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

func TestReadsAndWritesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget things")
	}
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		p, err := n.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		u := p.(*blocking.PacketConn)
		f, err := n.Create(t.TempDir() + "/file")
		require.NoError(t, err)
		to := addrPort(t, p.LocalAddr().String())
		out, in := make([]byte, 100), make([]byte, 200)
		answer := make(chan error)
		next := make(chan bool)
		go func() { // has b wait each time
			echo := make([]byte, 200)
			for range next {
				k, err := b.Read(echo)
				if err == nil {
					_, err = b.Write(echo[:k])
				}
				answer <- err
			}
		}()
		for name, round := range map[string]func() error{
			"connection": func() error {
				next <- true
				if _, err := a.Write(out); err != nil {
					return err
				}
				if err := <-answer; err != nil {
					return err
				}
				_, err := a.Read(in)
				return err
			},
			"datagram": func() error {
				if _, err := u.WriteToUDPAddrPort(out, to); err != nil {
					return err
				}
				_, _, err := u.ReadFromUDPAddrPort(in)
				return err
			},
			"file": func() error {
				if _, err := f.WriteAt(out, 0); err != nil {
					return err
				}
				_, err := f.ReadAt(in[:100], 0)
				return err
			},
		} {
			for range 100 {
				require.NoError(t, round())
			}
			var err error
			require.Zero(t, testing.AllocsPerRun(500, func() {
				if e := round(); e != nil {
					err = e
				}
			}), name)
			require.NoError(t, err)
		}
		close(next)
		require.NoError(t, f.Close())
	})
}
