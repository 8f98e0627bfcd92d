package ring

import (
	"testing"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
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

func TestLengthsBeyond32BitsAreNotTheRings(t *testing.T) {
	e := &Engine{}
	e.native[op.Fadvise], e.native[op.SyncFileRange] = true, true
	var h op.Handle
	for n, want := range map[int64]bool{0: true, 1<<32 - 1: true, 1 << 32: false, 1 << 40: false} {
		require.Equal(t, want, e.runs(new(op.Op).Fadvise(&h, 0, n, 0).Req()))
		require.Equal(t, want, e.runs(new(op.Op).SyncFileRange(&h, 0, n, 0).Req()))
	}
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

func TestOnlyWhatLiesInARegisteredRegionIsFixed(t *testing.T) {
	all := make([]byte, 300)
	m := memory{n: 2}
	m.regions[0], m.regions[1] = all[:100], all[200:]
	entry := func(b []byte, c op.Code) sqe {
		q := sqe{opcode: uint8(opcodes[c]), addr: address(unsafe.Pointer(unsafe.SliceData(b))), len: uint32(len(b))}
		m.fixed(&q, c)
		return q
	}
	for _, inside := range [][]byte{all[:100], all[99:100], all[10:20]} {
		q := entry(inside, op.ReadAt)
		require.EqualValues(t, opReadFixed, q.opcode)
		require.Zero(t, q.bufIndex)
	}
	q := entry(all[200:], op.WriteAt)
	require.EqualValues(t, opWriteFixed, q.opcode)
	require.EqualValues(t, 1, q.bufIndex)
	for _, outside := range [][]byte{all[99:101], all[100:200], all[150:250], all, all[:101]} {
		require.EqualValues(t, opRead, entry(outside, op.ReadAt).opcode)
		require.EqualValues(t, opWrite, entry(outside, op.WriteAt).opcode)
	}
}

// Between the error of a zero-copy send and its notification a cancel has nothing to
// cancel, but it must not be sent again as an ordinary one after that.
func TestACancelBetweenTheResultsOfAZeroCopySendHolds(t *testing.T) {
	e := &Engine{slots: slots{free: none}}
	o := new(op.Op)
	i := e.slots.take(o.SendZeroCopy(nil, make([]byte, 1)))
	require.True(t, e.completeZeroCopy(i, &cqe{res: -int32(unix.EOPNOTSUPP), flags: cqeMore}))
	e.Cancel(o)
	require.Empty(t, e.cancels)
	c := cqe{flags: cqeNotif}
	require.False(t, e.completeZeroCopy(i, &c))
	require.Equal(t, -int32(unix.ECANCELED), c.res)
}
