package main

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTailIsTheEndOfTheFile(t *testing.T) {
	sizes := []int{0, 1, 2, 100, block - 1, block, block + 1, 3*block - 5, 3 * block}
	for range 200 {
		var file []byte
		var tail, read tail
		for range 10 {
			b := make([]byte, sizes[rand.IntN(len(sizes))])
			for i := range b {
				b[i] = byte(rand.Int())
			}
			file = append(file, b...)
			tail.add(b)
			want := file[len(file)/block*block:]
			require.True(t, bytes.Equal(want, tail.bytes()), "%d bytes behind %d", len(b), len(file)-len(b))
			require.NoError(t, read.read(bytes.NewReader(file), int64(len(file))))
			require.True(t, bytes.Equal(want, read.bytes()))
		}
	}
}

// What is around a batch in its blocks stays as it is, or is zeros.
func TestABatchIsWrittenInWholeBlocks(t *testing.T) {
	d := direct{mem: bytes.Repeat(bs("x"), directSize)}
	var file []byte
	for _, n := range []int{10, block - 20, 10, 1, block - 1, block, fillBatch, fillBatch - 1, 7} {
		batch := bytes.Repeat(bs("b"), n)
		blocks, begins := d.blocks(batch)
		require.Len(t, blocks, 1)
		require.Zero(t, len(blocks[0])%block)
		require.Equal(t, len(file)%block, begins)
		off := len(file) - begins
		file = append(file, batch...)
		require.True(t, bytes.Equal(file[off:], blocks[0][:len(file)-off]))
		require.True(t, isZero(blocks[0][len(file)-off:]))
		require.Less(t, len(blocks[0])-(len(file)-off), block)
		d.tail.add(batch)
	}
}
