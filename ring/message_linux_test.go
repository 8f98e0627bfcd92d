package ring

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newEntered returns an engine of this goroutine's, entered if so asked.
func newEntered(t *testing.T, enter bool) *Engine {
	t.Helper()
	e, err := New(Options{Entries: 8, Workers: 1})
	if err != nil {
		t.Skip("no io_uring here: ", err)
	}
	if e.messages.off {
		_ = e.Close()
		t.Skip("no messages between rings before Linux 5.18")
	}
	if enter {
		require.NoError(t, e.Enter())
	}
	return e
}

func onOneThread(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// waitEnds requires a wait of the engine to end, on the engine's thread.
func waitEnds(t *testing.T, e *Engine) {
	t.Helper()
	begin := time.Now()
	_, err := e.Wait(time.Minute, 0, nil)
	require.NoError(t, err)
	require.Less(t, time.Since(begin), time.Minute, "it was not woken")
}

// The target's eventfd is gone: nothing but the message can end its wait.
func TestAMessageEndsAWait(t *testing.T) {
	onOneThread(t)
	e := newEntered(t, true)
	defer e.Close()
	targets, woken := make(chan *Engine), make(chan error)
	go func() {
		runtime.LockOSThread()
		x, err := New(Options{Entries: 8, Workers: 1})
		if err == nil {
			err = x.Enter()
		}
		if err == nil {
			_, err = x.Poll(nil)
		}
		if err != nil {
			close(targets)
			woken <- err
			return
		}
		x.waker.Close()
		targets <- x
		for range 100 {
			if _, err := x.Wait(time.Minute, 0, nil); err != nil {
				woken <- err
			}
			woken <- nil
		}
		woken <- x.Close()
	}()
	to := <-targets
	require.NotNil(t, to)
	for range 100 {
		require.True(t, e.WakePeer(to))
		require.True(t, e.WakePeer(to), "one message is enough")
		require.Len(t, e.messages.unsent, 1)
		_, err := e.Poll(nil)
		require.NoError(t, err)
		require.Empty(t, e.messages.unsent)
		require.Empty(t, e.messages.held)
		select {
		case err := <-woken:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			t.Fatal("it was not woken")
		}
	}
	require.NoError(t, <-woken)
	require.False(t, e.messages.off)
	require.False(t, e.WakePeer(to), "it is closed")
}

// A ring that is not enabled yet takes no messages (EBADFD): it is woken in the other
// way.
func TestAMessageThatDoesNotArriveIsMadeUpFor(t *testing.T) {
	onOneThread(t)
	e, to := newEntered(t, true), newEntered(t, false)
	defer e.Close()
	defer to.Close()
	if to.flags&setupDisabled == 0 {
		t.Skip("rings are enabled from the start here")
	}
	require.True(t, e.WakePeer(to))
	_, err := e.Poll(nil)
	require.NoError(t, err)
	_, err = e.Poll(nil)
	require.NoError(t, err)
	require.NoError(t, to.Enter())
	waitEnds(t, to)
	require.False(t, e.messages.off)
}

// What was not submitted when the sender ends is made up for, too.
func TestMessagesOfARingThatClosesAreMadeUpFor(t *testing.T) {
	onOneThread(t)
	e, to := newEntered(t, true), newEntered(t, true)
	defer to.Close()
	require.True(t, e.WakePeer(to))
	require.NoError(t, e.Close())
	require.False(t, e.WakePeer(to))
	waitEnds(t, to)
}

// The descriptor that an entry names stays open until the kernel has read the entry.
func TestADescriptorIsNotRecycledUnderAMessage(t *testing.T) {
	onOneThread(t)
	e, to := newEntered(t, true), newEntered(t, true)
	defer e.Close()
	require.True(t, e.WakePeer(to))
	fd := to.door.fd
	require.NoError(t, to.Close())
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err, "it is open")
	_, err = e.Poll(nil)
	require.NoError(t, err)
	require.Equal(t, -1, to.door.fd, "it is closed")
	_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.ErrorIs(t, err, unix.EBADF)
	again := newEntered(t, true)
	defer again.Close()
	require.True(t, e.WakePeer(again))
	require.Len(t, e.messages.peers, 1, "the number of one that is closed is used again")
	_, err = e.Poll(nil)
	require.NoError(t, err)
	waitEnds(t, again)
}
