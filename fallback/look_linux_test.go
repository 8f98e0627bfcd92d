package fallback_test

import (
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// While calls made at once keep the loop busy, it looks for events seldom, but it looks.
func TestOneThatIsBusyDoesNotKeepTheOthersWaiting(t *testing.T) {
	l, err := proactor.New(proactor.WithEngineName("epoll"))
	require.NoError(t, err)
	defer l.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(pair[1])
	c, err := l.NewConn(pair[0])
	require.NoError(t, err)
	arrived := false
	recv := op.Op{Done: func(*op.Op) { arrived = true }}
	_, err = l.Submit(recv.Recv(c, make([]byte, 1)))
	require.NoError(t, err)
	_, err = l.RunOnce(0)
	require.NoError(t, err)
	require.False(t, arrived)

	const turns = 1000
	when, left := 0, turns
	var busy op.Op
	busy.Done = func(o *op.Op) {
		switch left--; {
		case left == turns/2:
			_, err := unix.Write(pair[1], []byte{1})
			require.NoError(t, err)
			when = left
		case arrived && when > 0:
			require.Less(t, when-left, 20)
			when = 0
		}
		if left > 0 {
			_, err := l.Submit(o.Nop())
			require.NoError(t, err)
		}
	}
	before := l.Stats().Engine.Enters
	_, err = l.Submit(busy.Nop())
	require.NoError(t, err)
	for end := time.Now().Add(time.Minute); busy.InFlight(); {
		require.True(t, time.Now().Before(end))
		_, err := l.RunOnce(0)
		require.NoError(t, err)
	}
	require.True(t, arrived)
	require.Zero(t, when)
	looks := l.Stats().Engine.Enters - before
	require.Less(t, looks, uint64(turns/10))
	require.Greater(t, looks, uint64(turns/20))
}
