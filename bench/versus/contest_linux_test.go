package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANameMeansAContestOrAllThatBeginWithIt(t *testing.T) {
	defer func(all []contest) { contests = all }(contests)
	contests = []contest{{name: "kv-set-deep"}, {name: "kv-set"}, {name: "hello"}}
	for _, x := range []struct {
		names, want []string
	}{
		{nil, []string{"kv-set-deep", "kv-set", "hello"}},
		{[]string{"kv-set"}, []string{"kv-set"}},
		{[]string{"kv-"}, []string{"kv-set-deep", "kv-set"}},
		{[]string{"hello", "kv-set"}, []string{"hello", "kv-set"}},
	} {
		meant, err := meantBy(x.names)
		require.NoError(t, err)
		var got []string
		for _, c := range meant {
			got = append(got, c.name)
		}
		require.Equal(t, x.want, got, "%v", x.names)
	}
	_, err := meantBy([]string{"hello", "nosuch"})
	require.EqualError(t, err, `no contest "nosuch"; there are kv-set-deep, kv-set, hello`)
}
