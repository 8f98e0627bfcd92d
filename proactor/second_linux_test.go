package proactor

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

// A submission that one handle let in and the other refuses can be what the first
// one's close waits for.
func TestACloseGoesOnAfterWhatWasTakenBack(t *testing.T) {
	l, err := New(WithEngineName("epoll"))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	require.NoError(t, err)
	h, err := l.Register(fd)
	require.NoError(t, err)
	turn := func() {
		_, err := l.RunOnce(0)
		require.NoError(t, err)
	}
	require.True(t, h.State().Let(), "another goroutine submits at this moment")
	closed := false
	_, err = l.Submit((&op.Op{Done: func(*op.Op) { closed = true }}).Close(h, -1))
	require.NoError(t, err)
	for range 3 {
		turn()
	}
	require.False(t, closed)
	l.letOutLater(h)
	for end := time.Now().Add(time.Minute); !closed && time.Now().Before(end); {
		turn()
	}
	require.True(t, closed)
}
