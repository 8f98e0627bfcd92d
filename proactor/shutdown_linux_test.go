package proactor

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A connection whose next send was submitted in the same turn is not idle.
func TestAShutdownSeesWhatWasJustSubmitted(t *testing.T) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			l, err := New(WithEngineName(engine))
			if err != nil {
				t.Skip(err)
			}
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			require.NoError(t, err)
			defer unix.Close(fds[1])
			c, err := l.NewConn(fds[0])
			require.NoError(t, err)
			e := ending{loop: l, closed: map[*handle]bool{}}
			require.NoError(t, l.Post(func() {
				_, err := c.Send([]byte("a"), func(_ int, err error) {
					require.NoError(t, err)
					_, err = c.Send([]byte("b"), func(int, error) { _ = l.Close() })
					require.NoError(t, err)
				})
				require.NoError(t, err)
				require.Equal(t, 1, e.closeIdle())
				require.Zero(t, e.r.Closed)
			}))
			require.NoError(t, l.Run(context.Background()))
			b := make([]byte, 3)
			n, err := unix.Read(fds[1], b)
			require.NoError(t, err)
			require.Equal(t, "ab", string(b[:n]))
		})
	}
}

// What the kernel or a worker is still busy with is awaited as long as the context lasts,
// not only for the time that there is when it has ended.
func TestAShutdownAwaitsItsLoopsUntilItsContextEnds(t *testing.T) {
	defer func(d time.Duration) { cutTime = d }(cutTime)
	cutTime = time.Millisecond
	g, err := NewGroup(GroupOptions{Loops: 1})
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- g.Run(context.Background()) }()
	l := g.Loops()[0]
	begun, free := make(chan struct{}), make(chan struct{})
	_, err = l.Go(func() { close(begun); <-free }, func(error) {})
	require.NoError(t, err)
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	shut := make(chan error, 1)
	go func() {
		_, err := g.Shutdown(ctx)
		shut <- err
	}()
	for !l.sealing.Load() {
		runtime.Gosched()
	}
	select {
	case err = <-shut:
		t.Errorf("it is left behind: %v", err)
	case <-time.After(100 * cutTime):
		cancel()
		err = <-shut
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(free)
	<-ran
}
