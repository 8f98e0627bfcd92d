package proactor_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestGoRunsOnAWorkerAndComesBack(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ran, ended := make(chan bool, 1), make(chan error, 1)
		hold := make(chan struct{})
		_, err := l.Go(func() { ran <- true; <-hold }, func(err error) { ended <- err })
		require.NoError(t, err)
		got(t, ran)
		alive := make(chan bool, 1)
		require.NoError(t, l.Post(func() { alive <- true }))
		got(t, alive) // the loop isn't held
		require.Equal(t, 1, l.Stats().Work)
		close(hold)
		require.NoError(t, got(t, ended))
		require.Zero(t, l.Stats().Work)
		// One that ends its goroutine ends, too, and costs no worker.
		for range 50 {
			_, err = l.Go(func() { runtime.LockOSThread(); runtime.Goexit() }, func(err error) { ended <- err })
			require.NoError(t, err)
			require.NoError(t, got(t, ended))
		}
	})
}

func TestGoIsBoundedAndCanBeTakenBack(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		hold, begun := make(chan struct{}), make(chan bool, 4)
		ended := make(chan error, 4)
		var ran atomic.Int32
		for range 2 { // workers
			_, err := l.Go(func() { begun <- true; <-hold }, func(err error) { ended <- err })
			require.NoError(t, err)
			got(t, begun)
		}
		waiting, err := l.Go(func() { ran.Add(1) }, func(err error) { ended <- err })
		require.NoError(t, err)
		_, err = l.Go(func() {}, nil)
		require.ErrorIs(t, err, proactor.ErrFull)
		require.True(t, l.Cancel(waiting))
		require.ErrorIs(t, got(t, ended), proactor.ErrCanceled)
		_, err = l.Go(func() { ran.Add(10) }, func(err error) { ended <- err })
		require.NoError(t, err)
		close(hold)
		for range 3 {
			require.NoError(t, got(t, ended))
		}
		require.EqualValues(t, 10, ran.Load())
	}, proactor.WithMaxWork(3), proactor.WithWorkers(2))
}

func TestAPanicOfGoComesOutOfRun(t *testing.T) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			l := loopOn(t, engine)
			_, err := l.Go(func() { panic("of the worker") }, nil)
			require.NoError(t, err)
			func() {
				defer func() {
					p, ok := recover().(*proactor.Panic)
					require.True(t, ok)
					require.Equal(t, "of the worker", p.Value)
					require.Contains(t, string(p.Stack), "TestAPanicOfGoComesOutOfRun")
				}()
				_ = l.Run(context.Background())
			}()
			require.NoError(t, l.Close())
		})
	}
}

// isSlow is how long the slow callbacks of the tests hold their loop: that is what is
// tested, nobody waits for an event.
const isSlow = 20 * time.Millisecond

func slowCallback(b *proactor.Buffer, err error) {
	if b != nil {
		time.Sleep(isSlow) // it is what is tested
		b.Release()
	}
}

func TestSlowCallbacksAreNamed(t *testing.T) {
	reports := make(chan proactor.SlowCallback, 1000)
	// A machine that is busy makes others slow, too: they are passed over.
	named := func(t *testing.T, name, code string) proactor.SlowCallback {
		t.Helper()
		for {
			r := got(t, reports)
			if strings.Contains(r.Func, name) && r.Code.String() == code {
				require.GreaterOrEqual(t, r.Took, isSlow)
				return r
			}
		}
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		require.NoError(t, l.Post(func() { time.Sleep(isSlow) })) // it is what is tested
		require.Equal(t, -1, named(t, "TestSlowCallbacksAreNamed", "code(0)").FD)
		c, err := l.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, c.RecvEach(slowCallback))
		_, err = c.SendTo([]byte("x"), c.LocalAddr().(*net.UDPAddr).AddrPort(), nil)
		require.NoError(t, err)
		require.Equal(t, c.FD(), named(t, "slowCallback", "recvmsg each").FD)
		near, far := netPair(t, "tcp", "127.0.0.1:0")
		conn, err := l.AdoptConn(near)
		require.NoError(t, err)
		require.NoError(t, conn.RecvEach(slowCallback))
		_, err = far.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, conn.FD(), named(t, "slowCallback", "recv each").FD)
		_, err = conn.Send([]byte("x"), func(int, error) { time.Sleep(isSlow) })
		require.NoError(t, err)
		named(t, "TestSlowCallbacksAreNamed", "send")
	}, proactor.WithSlowCallback(15*time.Millisecond, func(s proactor.SlowCallback) { reports <- s }))
}

func TestQuickCallbacksAreNotReported(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		alive := make(chan bool, 1)
		for range 100 {
			require.NoError(t, l.Post(func() { alive <- true }))
			got(t, alive)
		}
	}, proactor.WithSlowCallback(time.Hour, func(s proactor.SlowCallback) { t.Errorf("reported: %+v", s) }))
}
