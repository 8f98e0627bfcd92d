package main

import (
	"io"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// block is the piece of a file that direct writes. It suits disks and pages of up to this
// size; with larger ones a file system may refuse it (EINVAL), and is written to without.
const block = 4096

// direct is the way past the page cache (O_DIRECT), which batches of up to fillBatch take
// with the policy always. On neither engine does it need a worker, and there is no page to
// find, to mark and to wait for. A write has whole blocks: it begins with what the log
// has in its last one already, and ends with zeros.
type direct struct {
	file *proactor.File // nil: the file system has no such way
	mem  []byte         // the blocks
	vec  [1][]byte
	tail tail
}

const directSize = block + fillBatch + block

// has reports whether a batch takes this way.
func (d *direct) has(batch []byte) bool { return d.file != nil && len(batch) <= fillBatch }

// blocks returns those that a batch changes, and at how many bytes of the first it begins.
func (d *direct) blocks(batch []byte) (blocks [][]byte, begins int) {
	n := copy(d.mem, d.tail.bytes())
	n += copy(d.mem[n:], batch)
	end := toBlock(int64(n))
	clear(d.mem[n:end])
	d.vec[0] = d.mem[:end]
	return d.vec[:], d.tail.n
}

// toBlock rounds up to whole blocks.
func toBlock(n int64) int64 { return (n + block - 1) / block * block }

// tail is the end of a file, behind its last whole block.
type tail struct {
	b [block]byte
	n int
}

func (t *tail) bytes() []byte { return t.b[:t.n] }

// read reads that of a file of the given size.
func (t *tail) read(f io.ReaderAt, size int64) error {
	if t.n = int(size % block); t.n == 0 {
		return nil
	}
	_, err := f.ReadAt(t.bytes(), size-int64(t.n))
	return err
}

// add takes what was written behind it.
func (t *tail) add(b []byte) {
	if end := t.n + len(b); end >= block {
		t.n, b = 0, b[len(b)-end%block:]
	}
	t.n += copy(t.b[t.n:], b)
}
