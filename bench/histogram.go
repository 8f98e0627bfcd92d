package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width is at most 1/64 of their
// value, as an HDR histogram does, so that recording costs a few ns and no memory
// however long the run.
type histogram struct {
	counts [58 * half]uint32
	n      int
}

const (
	subBits = 7 // buckets of one power of two: 2^(subBits-1)
	half    = 1 << (subBits - 1)
)

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-subBits, 0)
	return shift*half + int(v>>shift)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
}

func (h *histogram) merge(x *histogram) {
	for i, c := range x.counts {
		h.counts[i] += c
	}
	h.n += x.n
}

// quantile returns the value that a share q of all are not above, in the middle
// of its bucket.
func (h *histogram) quantile(q float64) time.Duration {
	left := int(q * float64(h.n))
	for i, c := range h.counts {
		if left -= int(c); left < 0 {
			shift := max(i/half-1, 0)
			low := uint64(i-shift*half) << shift
			return time.Duration(low + (1<<shift)/2)
		}
	}
	return 0
}
