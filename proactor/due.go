package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// dueQueue holds the callbacks to run, in order: the final ones, and with More
// those of multishot operations before their end. It is a ring that grows.
//
// Completions wait here and never run where they are found: a callback submits,
// closes and cancels, and must find the loop between two steps, not in one.
type dueQueue struct {
	q          []op.Completion // a power of two
	head, tail uint
}

func (d *dueQueue) push(c op.Completion) {
	if d.tail-d.head == uint(len(d.q)) {
		d.grow()
	}
	d.q[d.tail&uint(len(d.q)-1)] = c
	d.tail++
}

func (d *dueQueue) pop() (c op.Completion) {
	if d.head != d.tail {
		p := &d.q[d.head&uint(len(d.q)-1)]
		c, *p = *p, op.Completion{}
		d.head++
	}
	return c
}

func (d *dueQueue) grow() {
	q := make([]op.Completion, max(64, 2*len(d.q)))
	n := uint(0)
	for ; d.head != d.tail; d.head++ {
		q[n] = d.q[d.head&uint(len(d.q)-1)]
		n++
	}
	d.q, d.head, d.tail = q, 0, n
}
