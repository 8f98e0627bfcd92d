package proactor

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

// dueUntil takes out everything due.
func (d *deadlines) dueUntil(now int64) (got []*op.Op) {
	for o := d.due(now); o != nil; o = d.due(now) {
		got = append(got, o)
	}
	return got
}

func TestDeadlinesComeInTimeWhateverIsDisarmedAndMoved(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var d deadlines
	ops := make([]op.Op, 500)
	want := map[*op.Op]int64{}
	now := int64(1)
	for range 20_000 {
		o := &ops[rnd.IntN(len(ops))]
		switch rnd.IntN(8) {
		case 0, 1, 2:
			d.disarm(o)
			delete(want, o)
		case 3, 4, 5, 6:
			d.disarm(o)
			o.Req().When = now + rnd.Int64N(1000) + 1
			d.arm(o)
			want[o] = o.Req().When
		default:
			now += rnd.Int64N(20)
			for _, o := range d.dueUntil(now) {
				require.Contains(t, want, o, "fired although it was not armed")
				require.LessOrEqual(t, want[o], now, "fired early")
				delete(want, o)
			}
			for _, when := range want {
				require.Greater(t, when, now, "did not fire in time")
			}
		}
		require.Equal(t, len(want), d.armed())
	}
}

func TestDeadlinesComeInOrder(t *testing.T) {
	var d deadlines
	ops := make([]op.Op, 1000)
	var want []int64
	for i := range ops {
		ops[i].Req().When = rand.Int64N(500) + 1
		want = append(want, ops[i].Req().When)
		d.arm(&ops[i])
	}
	slices.Sort(want)
	require.Nil(t, d.due(0), "nothing is due before the first")
	var got []int64
	for _, o := range d.dueUntil(1000) {
		got = append(got, o.Req().When)
	}
	require.Equal(t, want, got)
	_, ok := d.next()
	require.False(t, ok)
}

// The owner of a completed operation may zero it, or copy it.
func TestAGhostDoesNotLookAtItsOperation(t *testing.T) {
	var d deadlines
	a, b, other := new(op.Op), new(op.Op), new(op.Op)
	a.Req().When, other.Req().When = 10, 11
	d.arm(a)
	d.arm(other)
	d.disarm(a)
	timer := a.Req().Timer
	*a.Req() = *b.Req() // zeroed
	a.Req().When = 20
	d.arm(a)
	b.Req().Timer, b.Req().When = timer, 5 // a copy of the completed one
	d.arm(b)
	require.Equal(t, []*op.Op{b}, d.dueUntil(10))
	require.Equal(t, []*op.Op{other}, d.dueUntil(19))
	require.Equal(t, []*op.Op{a}, d.dueUntil(20))
}

func TestGhostsAreNeverTheMajority(t *testing.T) {
	var d deadlines
	ops := make([]op.Op, 10_000)
	for i := range ops {
		ops[i].Req().When = int64(i + 1)
		d.arm(&ops[i])
		d.disarm(&ops[i])
		require.LessOrEqual(t, len(d.heap), 2*64+2)
	}
}

func BenchmarkArmDisarmAmongAMillion(b *testing.B) {
	var d deadlines
	ops := make([]op.Op, 1_000_000)
	for i := range ops {
		ops[i].Req().When = int64(i + 1)
		d.arm(&ops[i])
	}
	now := int64(len(ops))
	i := 0
	for b.Loop() { // a deadline that is moved on, as each receive does
		o := &ops[i]
		d.disarm(o)
		now++
		o.Req().When = now
		d.arm(o)
		if i++; i == len(ops) {
			i = 0
		}
	}
}
