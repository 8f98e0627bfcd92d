package ring_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
)

// newRing makes an engine, or skips where io_uring is forbidden.
func newRing(t *testing.T, o ring.Options) *ring.Engine {
	t.Helper()
	e, err := ring.New(o)
	if forbidden(err) {
		t.Skip("io_uring is forbidden here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func TestAKernelWithoutTheNeededFeaturesIsRefused(t *testing.T) {
	newRing(t, ring.Options{})
	for name, feature := range map[string]uint32{"NODROP": 1 << 1, "SUBMIT_STABLE": 1 << 2, "EXT_ARG": 1 << 8} {
		_, err := ring.New(ring.Options{MaskFeatures: feature})
		require.ErrorIs(t, err, errors.ErrUnsupported, name)
		var refusal *ring.Error
		require.ErrorAs(t, err, &refusal, name)
		require.Contains(t, refusal.Cause, "5.10.162", name)
	}
}

func TestAMaskedOperationIsEmulatedTheRestIsNot(t *testing.T) {
	e := newRing(t, ring.Options{MaskCodes: []op.Code{op.Shutdown}})
	require.False(t, e.Native(op.Shutdown))
	require.True(t, e.Native(op.Recv))
	require.False(t, e.Native(op.Timeout), "the loop's own")
}

func TestLargeSendsAreWithoutACopyWhereTheKernelCan(t *testing.T) {
	e := newRing(t, ring.Options{})
	if !e.ZeroCopy() {
		t.Skip("needs Linux 6.0")
	}
	for n, want := range map[int]uint64{1000: 0, 100_000: 1} {
		e, err := ring.New(ring.Options{})
		require.NoError(t, err)
		l, err := proactor.New(proactor.WithEngine(e))
		require.NoError(t, err)
		sent := make(chan bool, 1)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		_, err = l.Dial("tcp", ln.Addr().String(), func(c *proactor.Conn, err error) {
			require.NoError(t, err)
			_, err = c.SendZeroCopy(make([]byte, n), func(k int, copied bool, err error) { sent <- err == nil && k == n && copied })
			require.NoError(t, err)
		})
		require.NoError(t, err)
		go func() { _ = l.Run(t.Context()) }()
		peer, err := ln.Accept()
		require.NoError(t, err)
		_, err = io.ReadFull(peer, make([]byte, n))
		require.NoError(t, err)
		require.True(t, <-sent)
		require.NoError(t, l.Close())
		require.Equal(t, want, l.Stats().Engine.ZeroCopies, "sends of %d bytes", n)
		peer.Close()
	}
}

func TestManyRingsLeaveNothingBehind(t *testing.T) {
	for range 40 { // a thread has room for 16 registered rings
		e, err := ring.New(ring.Options{Entries: 8, Workers: 1})
		if forbidden(err) {
			t.Skip("io_uring is forbidden here: ", err)
		}
		require.NoError(t, err)
		require.NoError(t, e.Enter())
		require.NoError(t, e.Close())
	}
}
