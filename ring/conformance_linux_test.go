package ring_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv(againVar) != "" {
		again()
		return
	}
	optest.Main(m)
}

// The set-up flags of newer kernels, to be hidden: SUBMIT_ALL, COOP_TASKRUN,
// SINGLE_ISSUER, DEFER_TASKRUN, NO_SQARRAY.
const (
	since518 = 1 << 7
	since519 = 1 << 8
	since60  = 1 << 12
	since61  = 1 << 13
	since66  = 1 << 16
)

func open(o ring.Options) optest.Open {
	return func(t testing.TB, c optest.Config) op.Engine {
		o.Entries, o.Workers = c.Entries, c.Workers
		e, err := ring.New(o)
		if forbidden(err) {
			t.Skip("io_uring is forbidden here: ", err)
		}
		require.NoError(t, err)
		return e
	}
}

// forbidden reports whether the system refuses io_uring altogether. Any other
// failure is one of the engine. Where the ring must run, PROACTOR_TEST_RING=must
// turns the skip into a failure.
func forbidden(err error) bool {
	refused := errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSYS)
	return refused && os.Getenv("PROACTOR_TEST_RING") != "must"
}

func TestConformance(t *testing.T) { optest.Run(t, open(ring.Options{})) }

// What a kernel of 5.10.162 to 5.17 offers: no set-up flags, no shutdown.
func TestConformanceWithoutNewerFlags(t *testing.T) {
	optest.Run(t, open(ring.Options{
		MaskFlags: since518 | since519 | since60 | since61 | since66,
		MaskCodes: []op.Code{op.Shutdown},
	}))
}

// COOP_TASKRUN, as 5.19 and 6.0 have it.
func TestConformanceWithoutDeferredTaskrun(t *testing.T) {
	optest.Run(t, open(ring.Options{MaskFlags: since60 | since61 | since66}))
}

// Waits take place in Go's netpoller.
func TestConformanceParked(t *testing.T) { optest.Run(t, open(ring.Options{Park: true})) }

// Everything that can be emulated is.
func TestConformanceEmulated(t *testing.T) {
	var codes []op.Code
	for c := op.Nop; c < op.NumCodes; c++ {
		if c != op.Poll {
			codes = append(codes, c)
		}
	}
	optest.Run(t, open(ring.Options{MaskCodes: codes}))
}
