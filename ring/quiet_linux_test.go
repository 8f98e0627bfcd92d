package ring_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
)

// Of so many resets right behind data Linux 6.18 lets a multishot receive miss one or
// two.
func TestAResetRightBehindDataIsNotMissed(t *testing.T) {
	probe(t, ring.Options{})
	count := 5000
	if testing.Short() {
		count = 500
	}
	l, err := proactor.New(proactor.WithEngineName("io_uring"))
	require.NoError(t, err)
	ln, err := l.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	require.NoError(t, ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil { // with the loop
			return
		}
		_ = c.RecvEach(func(b *proactor.Buffer, err error) {
			if err == nil {
				b.Release()
				return
			}
			ended <- err
			_ = c.Abort(nil)
		})
	}))
	ran := make(chan error)
	go func() { ran <- l.Run(context.Background()) }()
	for i := range count {
		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		for range i % 4 {
			_, err = c.Write([]byte("data"))
			require.NoError(t, err)
		}
		require.NoError(t, c.(*net.TCPConn).SetLinger(0))
		require.NoError(t, c.Close())
		select {
		case err := <-ended:
			require.Error(t, err)
		case <-time.After(time.Minute):
			t.Fatal("a reset was missed, after others: ", i)
		}
	}
	require.NoError(t, l.Close())
	<-ran
}
