package op

// Table is an array that grows in pieces: nothing is copied, so growing leaves
// no garbage behind, and an element keeps its address.
type Table[T any] struct {
	pieces []*[pieceLen]T
	n      uint32
}

const pieceLen = 256

// Len returns how many elements there are.
func (t *Table[T]) Len() uint32 { return t.n }

// At returns element i, which must be there.
func (t *Table[T]) At(i uint32) *T { return &t.pieces[i/pieceLen][i%pieceLen] }

// Add appends a zero element and returns its index.
func (t *Table[T]) Add() uint32 {
	if t.n%pieceLen == 0 && int(t.n/pieceLen) == len(t.pieces) {
		t.pieces = append(t.pieces, new([pieceLen]T))
	}
	t.n++
	return t.n - 1
}

// Drop takes the last element away.
func (t *Table[T]) Drop() {
	t.n--
	var zero T
	*t.At(t.n) = zero
}
