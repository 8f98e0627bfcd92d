package main

import (
	"errors"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// openMax is how many files are open at most; a smaller depth makes it smaller.
const openMax = 256

// reader reads the files. It gives each that is open a free block in turn, so
// that many small files fill the depth as well as a huge one does. It is the
// loop goroutine's alone, but for the channels and the status.
type reader struct {
	loop   *proactor.Loop
	paths  []string
	direct bool

	next   int      // the first path that has had no turn
	again  []int    // paths that found no descriptor free
	left   int      // files that are not done
	open   int      // files that are open or about to be
	limit  int      // of open
	free   []*block // the last one freed is used first
	hungry []*file  // wait for a free block, in line

	jobs   chan *file // with room for all open files: handing over never waits
	done   chan<- digest
	status *status
}

func newReader(loop *proactor.Loop, c *config, paths []string, memory []byte) *reader {
	limit := min(c.depth, openMax)
	r := &reader{
		loop: loop, paths: paths, direct: c.direct,
		left: len(paths), limit: limit, jobs: make(chan *file, limit),
	}
	blocks, size := make([]block, c.depth), int(c.block)
	for i := range blocks {
		b := &blocks[i]
		b.buf = memory[i*size : (i+1)*size : (i+1)*size]
		b.op.Done = b.done
		r.free = append(r.free, b)
	}
	return r
}

// advance opens and reads as much as the limits allow.
func (r *reader) advance() {
	for r.open < r.limit {
		i, ok := r.nextPath()
		if !ok {
			break
		}
		r.open++
		newFile(r, i).open()
	}
	for len(r.free) > 0 && len(r.hungry) > 0 {
		f := r.hungry[0]
		r.hungry = r.hungry[1:]
		f.hungry = false
		if f.wants() {
			f.read(r.takeBlock())
			r.feed(f)
		}
	}
}

func (r *reader) nextPath() (i int, ok bool) {
	if n := len(r.again); n > 0 {
		i, r.again = r.again[n-1], r.again[:n-1]
		return i, true
	}
	r.next++
	return r.next - 1, r.next <= len(r.paths)
}

// feed puts a file in line for a block if it wants one.
func (r *reader) feed(f *file) {
	if !f.hungry && f.wants() {
		f.hungry = true
		r.hungry = append(r.hungry, f)
	}
}

func (r *reader) takeBlock() *block {
	last := len(r.free) - 1
	b := r.free[last]
	r.free = r.free[:last]
	return b
}

// postpone leaves a path for when a file has been closed. There are as many
// open as there can be.
func (r *reader) postpone(f *file) {
	r.open--
	r.limit = r.open
	r.again = append(r.again, f.digest.index)
}

// outOfDescriptors reports whether it helps to close a file first.
func (r *reader) outOfDescriptors(err error) bool {
	return r.open > 1 && (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE))
}

// deliver tells what a file came to.
func (r *reader) deliver(d digest) {
	if errors.Is(d.err, proactor.ErrClosed) {
		return // that is no fault of the file: the run is interrupted
	}
	r.status.files.Add(1)
	r.done <- d
}

// closed takes the end of a file. The last one ends the loop.
func (r *reader) closed() {
	r.open--
	r.left--
	if r.left == 0 {
		_ = r.loop.Close()
		return
	}
	r.advance()
}
