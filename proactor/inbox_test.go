package proactor

import (
	"sync"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

func TestInboxKeepsEachProducersOrder(t *testing.T) {
	var q inbox
	const producers, each = 8, 2000
	ops := make([]op.Op, producers*each)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				o := &ops[p*each+i]
				o.Req().N, o.Req().Off = p, int64(i)
				require.True(t, q.push(o))
			}
		})
	}
	var next [producers]int64
	seen := 0
	for seen < len(ops) {
		for o := q.take(); o != nil; o = o.Req().Next {
			require.Equal(t, next[o.Req().N], o.Req().Off)
			next[o.Req().N]++
			seen++
		}
	}
	wg.Wait()
}

func TestInboxAcceptsOrRefusesNothingBetween(t *testing.T) {
	var q inbox
	const producers, each = 4, 5000
	ops := make([]op.Op, producers*each)
	accepted := make([]int, producers)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if i == each/2 && p == 0 {
					close(start)
				}
				if q.push(&ops[p*each+i]) {
					accepted[p]++
				}
			}
		})
	}
	<-start
	n := count(q.seal())
	wg.Wait()
	require.Zero(t, count(q.seal()), "sealed twice")
	require.Nil(t, q.take())
	total := 0
	for _, a := range accepted {
		total += a
	}
	require.Equal(t, total, n, "accepted operations that the seal returned")
}

func count(o *op.Op) (n int) {
	for ; o != nil; o = o.Req().Next {
		n++
	}
	return n
}
