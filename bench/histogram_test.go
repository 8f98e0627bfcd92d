package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantilesAreWithinABucketOfTheTruth(t *testing.T) {
	var a, b histogram
	var all []time.Duration
	for range 100_000 {
		d := time.Duration(rand.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		if rand.IntN(2) == 0 {
			a.add(d)
		} else {
			b.add(d)
		}
	}
	a.merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))]
		require.InDelta(t, float64(want), float64(a.quantile(q)), float64(want)/64+1, "quantile %v", q)
	}
}

func TestEveryDurationHasABucket(t *testing.T) {
	var h histogram
	h.add(-1)
	h.add(1<<63 - 1)
	require.Zero(t, h.quantile(0))
	require.InDelta(t, float64(1<<63), float64(h.quantile(0.99)), 1<<57)
}
