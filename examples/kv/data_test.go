package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsOverIsGoneWhenAskedForAndByItself(t *testing.T) {
	d := newData()
	now := int64(1000)
	d.clock = func() int64 { return now }
	for i := range 1000 {
		d.set(fmt.Append(nil, "t", i), bs("x"), 2000, 0)
		d.set(fmt.Append(nil, "k", i), bs("x"), 0, 0)
	}
	d.expireSome()
	require.Len(t, d.row, 2000)
	now = 2000
	require.Nil(t, d.get(bs("t7")))
	require.Len(t, d.row, 1999)
	for range 100 {
		d.expireSome()
	}
	require.Empty(t, d.timed)
	require.Len(t, d.row, 1000)
	require.EqualValues(t, 1000, d.expired)
	require.NotNil(t, d.get(bs("k7")))
}

func TestASliceOfTheExpiryIsBounded(t *testing.T) {
	d := newData()
	for i := range 10 * expirySample * expirySlices {
		d.set(fmt.Append(nil, i), bs("x"), 1, 0)
	}
	before := len(d.row)
	d.expireSome()
	require.LessOrEqual(t, before-len(d.row), expirySample*expirySlices)
	require.Less(t, len(d.row), before)
}

func TestSmallValuesDontKeepTheRoomOfLargeOnes(t *testing.T) {
	d := newData()
	d.set(bs("a"), make([]byte, 1<<20), 0, 0)
	d.set(bs("a"), bs("x"), 0, 0)
	require.Less(t, cap(d.get(bs("a")).val), 100)
}
