package main

import "github.com/seed-2ff0fea0/go-proactor/proactor"

// block is a piece of a file, and the operation that reads it. The blocks are
// made once, and go from file to file.
type block struct {
	op     proactor.Op
	buf    []byte
	file   *file
	off    int64
	direct bool // as the file was at the submission
	came   bool // the read is done; the result is:
	n      int
	err    error
	next   *block // in the chain
}

func (b *block) submit() {
	b.direct = b.file.direct
	// Only a closing loop refuses, and then nobody waits for the block.
	_, _ = b.file.r.loop.Submit(b.op.ReadAt(b.file.from, b.buf, b.off))
}

// done is the operation's callback.
func (b *block) done(o *proactor.Op) {
	b.n, b.err = o.Result()
	if b.direct && refusesDirect(b.err) {
		b.retryBuffered()
		return
	}
	b.came = true
	b.file.came(b)
}

// retryBuffered reads a block again that the file system won't read directly:
// some take O_DIRECT at the opening and refuse the alignment later, or the odd
// bytes at the end.
func (b *block) retryBuffered() {
	if b.file.direct {
		b.file.giveUpDirect(b.err)
		clearDirect(b.file.from.FD())
	}
	b.submit()
}

// chain is a line of blocks; a block is in one at most.
type chain struct{ first, last *block }

func (c *chain) push(b *block) {
	b.next = nil
	if c.first == nil {
		c.first = b
	} else {
		c.last.next = b
	}
	c.last = b
}

func (c *chain) pop() *block {
	b := c.first
	c.first = b.next
	return b
}
