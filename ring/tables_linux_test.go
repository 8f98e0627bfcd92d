package ring

import (
	"testing"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

func TestEveryOperationHasAnEncodingOrNeedsNone(t *testing.T) {
	for c := op.None + 1; c < op.NumCodes; c++ {
		needs := c.Info().Kernel != op.Version{}
		require.Equal(t, needs, opcodes[c] >= 0, c.String())
	}
}

func TestStructuresHaveTheKernelsSizes(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(sqe{}))
	require.EqualValues(t, 16, unsafe.Sizeof(cqe{}))
	require.EqualValues(t, 120, unsafe.Sizeof(params{}))
	require.EqualValues(t, 24, unsafe.Sizeof(getEvents{}))
}

// A slot that is used again has another generation: a completion or a cancel of
// its last user finds nothing.
func TestALateCompletionFindsNothing(t *testing.T) {
	table := slots{free: none}
	first, second := new(op.Op), new(op.Op)
	i := table.take(first)
	late := table.userData(i)
	s, _ := table.find(late)
	require.Same(t, first, s.o)
	table.release(i)
	s, _ = table.find(late)
	require.Nil(t, s)
	require.Equal(t, i, table.take(second))
	s, _ = table.find(late)
	require.Nil(t, s)
	s, _ = table.find(table.userData(i))
	require.Same(t, second, s.o)
	s, _ = table.find(wakeTag)
	require.Nil(t, s)
}

func TestGenerationsWrapBelowTheTag(t *testing.T) {
	table := slots{free: none}
	i := table.take(new(op.Op))
	table.all.At(i).gen = 1<<31 - 1
	require.Zero(t, table.userData(i)&cancelTag)
	table.release(i)
	table.take(new(op.Op))
	require.Zero(t, table.all.At(i).gen)
}
