package blocking_test

import (
	"context"
	"os"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

// What would wait for the loop in the loop's own callback is an error and no dead-lock;
// and what is closed there is closed.
func TestInACallbackOfTheLoopNothingWaits(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		a, b := pairOn(t, n, "tcp")
		small(t, a, b)
		ln, err := n.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		p, err := n.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		dir, err := n.Open(t.TempDir())
		require.NoError(t, err)
		f, err := n.Create(t.TempDir() + "/file")
		require.NoError(t, err)
		raw, err := a.SyscallConn()
		require.NoError(t, err)
		calls := map[string]func() error{
			"Read":     func() error { _, err := a.Read(make([]byte, 1)); return err },
			"Write":    func() error { _, err := a.Write(make([]byte, much)); return err },
			"Accept":   func() error { _, err := ln.Accept(); return err },
			"ReadFrom": func() error { _, _, err := p.ReadFrom(make([]byte, 1)); return err },
			"raw Read": func() error { return raw.Read(func(uintptr) bool { return false }) },
			"Dial":     func() error { _, err := n.Dial(context.Background(), "tcp", ln.Addr().String()); return err },
			"Open":     func() error { _, err := n.Open(os.DevNull); return err },
			"ReadAt":   func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
			"WriteAt":  func() error { _, err := f.WriteAt(make([]byte, 1), 0); return err },
			"Stat":     func() error { _, err := f.Stat(); return err },
			"Sync":     func() error { return f.Sync() },
			"Lstat":    func() error { _, err := n.Lstat("/"); return err },
			"ReadDir":  func() error { _, err := dir.ReadDir(0); return err },
			"Wait":     func() error { _, err := n.Wait(context.Background(), new(proactor.Op).Nop()); return err },
		}
		errs := map[string]error{}
		done := make(chan bool)
		require.NoError(t, n.Loop().Post(func() {
			for name, call := range calls {
				errs[name] = call()
			}
			for name, c := range map[string]interface{ Close() error }{"a": a, "listener": ln, "packets": p, "file": f, "directory": dir} {
				if err := c.Close(); err != nil {
					errs[name] = err
				}
			}
			close(done)
		}))
		got(t, done)
		for name := range calls {
			require.ErrorIs(t, errs[name], blocking.ErrInside, name)
			delete(errs, name)
		}
		require.Empty(t, errs)
		_, err = a.Read(make([]byte, 1))
		require.Error(t, err)
	})
}

// Another loop's callback may wait: it is on another goroutine.
func TestACallbackOfAnotherLoopMayWait(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		other, err := blocking.New()
		require.NoError(t, err)
		c := make(chan error, 1)
		require.NoError(t, other.Loop().Post(func() {
			_, err := n.Wait(context.Background(), new(proactor.Op).Timeout(1))
			c <- err
		}))
		require.NoError(t, got(t, c))
		require.NoError(t, other.Close())
	})
}
