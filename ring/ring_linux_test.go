package ring_test

import (
	"errors"
	"testing"

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
