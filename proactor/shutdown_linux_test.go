package proactor

import (
	"context"
	"testing"

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
