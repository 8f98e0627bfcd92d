package ring_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
)

// probe tells of the ring, or skips where io_uring is forbidden.
func probe(t *testing.T, o ring.Options) ring.Info {
	t.Helper()
	i, err := ring.Probe(o)
	if forbidden(err) {
		t.Skip("io_uring is forbidden here: ", err)
	}
	require.NoError(t, err)
	return i
}

func found(t *testing.T, all []ring.Feature, name string) bool {
	t.Helper()
	i := slices.IndexFunc(all, func(f ring.Feature) bool { return f.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return all[i].Found
}

func TestAProbeTellsOfTheQueues(t *testing.T) {
	i := probe(t, ring.Options{Entries: 100})
	require.Contains(t, []int{128, 64, 32, 16, 8}, i.Entries, "less where RLIMIT_MEMLOCK demands it")
	require.Equal(t, 4*i.Entries, i.Completions)
}

func TestAProbeMissesWhatIsHidden(t *testing.T) {
	before := probe(t, ring.Options{})
	after := probe(t, ring.Options{
		MaskFlags: since518 | since519 | since60 | since61 | since66,
		MaskCodes: []op.Code{op.Shutdown, op.SendZC},
	})
	for _, f := range before.Features {
		if f.Name != "registered ring descriptor" {
			require.False(t, found(t, after.Features, f.Name), f.Name)
		}
	}
	require.False(t, found(t, after.Operations, "shutdown"))
	require.True(t, found(t, after.Operations, "recv"))
	require.Contains(t, after.String(), "SUBMIT_ALL, messages between rings, COOP_TASKRUN, ")
	require.Contains(t, after.String(), "shutdown")
	require.NotContains(t, after.String(), "recv,")
}

// A kernel that has one has all that came before it, but for those that a limit can
// forbid.
func TestAProbeFindsNoFeatureWithoutTheOlderOnes(t *testing.T) {
	i := probe(t, ring.Options{})
	if !found(t, i.Features, "DEFER_TASKRUN") {
		t.Skip("needs Linux 6.1")
	}
	for _, name := range []string{"SUBMIT_ALL", "messages between rings", "COOP_TASKRUN", "multishot accept", "SINGLE_ISSUER", "multishot receive", "zero-copy send"} {
		require.True(t, found(t, i.Features, name), name)
	}
}

func TestEveryFeatureSaysWhatIsWithoutIt(t *testing.T) {
	i := probe(t, ring.Options{})
	for _, f := range append(i.Features, i.Operations...) {
		require.NotEmpty(t, f.Name)
		require.NotEmpty(t, f.Without, f.Name)
		require.GreaterOrEqual(t, f.Kernel.Major, 5, f.Name)
	}
	require.Equal(t, "nothing", ring.Feature{Name: "nothing", Found: true}.String())
	require.Equal(t, "no haste (Linux 7.1): it waits", ring.Feature{Name: "haste", Kernel: op.Version{Major: 7, Minor: 1}, Without: "it waits"}.String())
	require.Equal(t, "8 entries, 32 completions; all features", ring.Info{Entries: 8, Completions: 32}.String())
}

func TestAProbeOfARefusedRingSaysWhy(t *testing.T) {
	_, err := ring.Probe(ring.Options{MaskFeatures: 1 << 1})
	if forbidden(err) {
		t.Skip("io_uring is forbidden here: ", err)
	}
	var refusal *ring.Error
	require.ErrorAs(t, err, &refusal)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	var errno syscall.Errno
	require.False(t, errors.As(err, &errno), "it isn't the kernel that refuses")
}
