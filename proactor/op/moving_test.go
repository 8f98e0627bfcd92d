package op_test

import (
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

func TestSplicesOfOneOpAllocateOnce(t *testing.T) {
	var o op.Op
	var h op.Handle
	var s op.Pipes
	p := new(op.Pipe)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		o.SpliceInto(&h, &s, 10)
		o.SpliceOut(&h, 0, p, 0)
		o.SpliceIn(&h, 0, p, 10)
	}))
	require.Same(t, p, o.Pipe())
	o.SpliceInto(&h, &s, 10)
	require.Nil(t, o.Pipe(), "nothing of the last use is left")
}
