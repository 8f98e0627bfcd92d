package fallback_test

import (
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/fallback"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { optest.Main(m) }

func TestConformance(t *testing.T) { conformance(t, false) }

// Waits take place in Go's netpoller.
func TestConformanceParked(t *testing.T) { conformance(t, true) }

func conformance(t *testing.T, park bool) {
	optest.Run(t, func(t testing.TB, c optest.Config) op.Engine {
		e, err := fallback.New(fallback.Options{Events: c.Entries, Workers: c.Workers, Park: park})
		require.NoError(t, err)
		return e
	})
}
