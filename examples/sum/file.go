package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// file is one file under way. Its blocks are read side by side and hashed in
// their order, by one hasher at a time.
//
// The end of a file is where a read finds it, not what its size says: it may
// shrink or grow meanwhile, and files of /proc have no size. Up to the size
// blocks are read ahead, what is beyond is read one by one.
type file struct {
	r      *reader
	digest digest
	from   *proactor.File
	direct bool // reads go past the page cache
	hungry bool // in the reader's line

	size    int64
	next    int64 // the offset of the next block
	reading int   // blocks that the kernel has
	ending  bool  // a read has found the end, or failed: no more of them
	line    chain // blocks that are read or were, in the order of the file

	hashing bool  // the rest is a hasher's while this is set
	job     chain // what it is to hash
	over    bool  // the last block is among it, or was before
	hash    hash.Hash
}

func newFile(r *reader, index int) *file {
	return &file{r: r, digest: digest{index: index}, direct: r.direct, hash: sha256.New()}
}

func (f *file) open() {
	flags := os.O_RDONLY
	if f.direct {
		flags |= directFlag
	}
	// Only a closing loop refuses, and then nobody waits for the file.
	_, _ = f.r.loop.OpenFile(f.r.paths[f.digest.index], flags, 0, f.opened)
}

func (f *file) opened(from *proactor.File, err error) {
	switch {
	case err == nil:
		f.from = from
		f.size, _ = from.Size() // 0 will do
		f.r.feed(f)
		f.r.advance()
	case f.direct && refusesDirect(err):
		f.giveUpDirect(err)
		f.open()
	case f.r.outOfDescriptors(err):
		f.r.postpone(f)
	default:
		f.digest.err = err
		f.r.deliver(f.digest)
		f.r.closed()
	}
}

func (f *file) giveUpDirect(why error) {
	f.direct, f.digest.buffered = false, why
}

// wants reports whether a block should be read. The one that contains the end
// is read too: who knows.
func (f *file) wants() bool {
	return !f.ending && (f.next <= f.size || f.reading == 0)
}

// read reads the next block into b.
func (f *file) read(b *block) {
	b.file, b.off, b.came = f, f.next, false
	f.next += int64(len(b.buf))
	f.line.push(b)
	f.reading++
	b.submit()
}

// came takes a block that has been read: the hasher gets what is in order.
func (f *file) came(b *block) {
	f.reading--
	f.ending = f.ending || b.err != nil
	f.handOver()
	f.r.feed(f)
	f.r.advance()
}

func (f *file) handOver() {
	if f.hashing {
		return
	}
	for f.line.first != nil && f.line.first.came {
		f.take(f.line.pop())
	}
	switch {
	case f.job.first != nil:
		f.hashing = true
		f.r.jobs <- f
	case f.over && f.line.first == nil:
		f.close()
	}
}

// take puts the next block in order among those to be hashed. What was read
// beyond the end is dropped.
func (f *file) take(b *block) {
	if f.over {
		f.r.free = append(f.r.free, b)
		return
	}
	f.job.push(b)
	if b.err != nil {
		f.over = true
		if !errors.Is(b.err, io.EOF) {
			f.digest.err = b.err
		}
	}
}

// hashJob runs on a hasher's goroutine.
func (f *file) hashJob(ctx context.Context) {
	for b := f.job.first; b != nil && ctx.Err() == nil; b = b.next {
		f.hash.Write(b.buf[:b.n])
	}
	if f.over {
		f.hash.Sum(f.digest.sum[:0])
	}
	_ = f.r.loop.Post(f.hashed) // a closed loop has no use for it
}

// hashed is posted to the loop when a job is done.
func (f *file) hashed() {
	f.hashing = false
	for f.job.first != nil {
		b := f.job.pop()
		f.r.status.bytes.Add(int64(b.n))
		f.r.free = append(f.r.free, b)
	}
	f.handOver()
	f.r.advance()
}

func (f *file) close() {
	f.r.deliver(f.digest)
	_ = f.from.Close(func(error) { f.r.closed() })
}

// refusesDirect reports whether the error may come from O_DIRECT: a file system
// that lacks it, or wants another alignment.
func refusesDirect(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOPNOTSUPP)
}
