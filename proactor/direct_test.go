package proactor

import (
	"math"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARangeIsWidenedToTheAlignment(t *testing.T) {
	for _, x := range []struct {
		off      int64
		n, align int
		start    int64
		length   int
	}{
		{0, 0, 512, 0, 0},
		{0, 1, 512, 0, 512},
		{0, 512, 512, 0, 512},
		{511, 1, 512, 0, 512},
		{511, 2, 512, 0, 1024},
		{512, 512, 512, 512, 512},
		{5000, 10_000, 4096, 4096, 12288},
		{1<<40 + 1, 4095, 4096, 1 << 40, 4096},
		{1<<40 + 1, 4096, 4096, 1 << 40, 8192},
		{math.MaxInt64, 0, 4096, math.MaxInt64 - 4095, 4096},
		{7, 9, 1, 7, 9},
		{7, 9, 3, 6, 12},
	} {
		start, length := AlignRange(x.off, x.n, x.align)
		require.Equal(t, x.start, start, "%+v", x)
		require.Equal(t, x.length, length, "%+v", x)
		require.LessOrEqual(t, start, x.off)
		require.GreaterOrEqual(t, start-x.off+int64(length), int64(x.n))
	}
	require.Panics(t, func() { AlignRange(-1, 1, 512) })
	require.Panics(t, func() { AlignRange(0, -1, 512) })
	require.Panics(t, func() { AlignRange(0, 1, 0) })
}

func TestTheAlignmentIsTheStrictestOrASafeOne(t *testing.T) {
	n, err := alignment(&Statx{Mask: statxDioAlign, DioMemAlign: 4, DioOffsetAlign: 512})
	require.NoError(t, err)
	require.Equal(t, 512, n)
	n, err = alignment(&Statx{DioMemAlign: 4, DioOffsetAlign: 512})
	require.NoError(t, err)
	require.Equal(t, 4096, n, "the kernel hasn't said that it knows")
	_, err = alignment(&Statx{Mask: statxDioAlign})
	require.ErrorIs(t, err, syscall.EOPNOTSUPP)
}
