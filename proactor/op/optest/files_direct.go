//go:build linux

package optest

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// direct returns a file with the contents, opened with O_DIRECT, and its alignment.
func (e *env) direct(contents []byte) (*proactor.File, int) {
	e.Helper()
	_, path := e.file(contents)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err == unix.EINVAL {
		e.Skip("the file system has no O_DIRECT")
	}
	require.NoError(e, err)
	f, err := e.loop.NewFile(fd, path)
	require.NoError(e, err)
	align, err := counted(e, f.Alignment)
	if isErrno(err, syscall.EOPNOTSUPP) {
		e.Skip("the file can't be read with O_DIRECT")
	}
	require.NoError(e, err)
	require.Positive(e, align)
	require.Zero(e, os.Getpagesize()%align, "memory that begins at a page is aligned to %d", align)
	return f, align
}

// A file of any length is read whole, and any part of it through a wider range.
func directAnyLength(e *env) {
	l := e.start()
	for _, size := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, 12_345, 65_536, 200_001} {
		data := pattern(size, size)
		f, align := e.direct(data)
		_, length := proactor.AlignRange(0, size+1, align)
		b := l.Memory(length)
		n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(b, 0, d) })
		require.True(e, err == io.EOF, "%d bytes: %v", size, err)
		require.Equal(e, size, n)
		requireSame(e, data, b[:n])
		if size < 1000 {
			continue
		}
		off, part := int64(size/3), size/2
		start, length := proactor.AlignRange(off, part, align)
		b = l.Memory(length)
		n, err = counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(b, start, d) })
		if err != nil {
			require.True(e, err == io.EOF, "%d bytes: %v", size, err)
		}
		skip := int(off - start)
		require.GreaterOrEqual(e, n, skip+part)
		requireSame(e, data[off:int(off)+part], b[skip:skip+part])
	}
}

// What isn't aligned has the result that the kernel gives at once.
func directUnaligned(e *env) {
	l := e.start()
	f, align := e.direct(pattern(0, 100_000))
	b := l.Memory(4 * align)
	for name, x := range map[string]struct {
		b   []byte
		off int64
	}{
		"all is":  {b[:2*align], int64(align)},
		"offset":  {b[:align], 1},
		"length":  {b[:align-1], 0},
		"memory":  {b[1 : 1+align], 0},
		"nothing": {b[1:align], 3},
	} {
		want, kernel := unix.Pread(f.FD(), x.b, x.off)
		n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(x.b, x.off, d) })
		require.ErrorIs(e, err, kernel, name)
		require.Equal(e, kernel == nil, err == nil, "%s: %v, not %v", name, err, kernel)
		require.Equal(e, max(want, 0), n, name)
		wrote, kernel := unix.Pwrite(f.FD(), x.b, x.off)
		n, err = counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteAt(x.b, x.off, d) })
		require.ErrorIs(e, err, kernel, name)
		require.Equal(e, max(wrote, 0), n, name)
	}
}

// directBlocks is how many blocks are read or written at once: more than an engine has
// in flight.
const directBlocks = 700

// direction prepares one of the operations on a block of two halves.
type direction func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op

func halves(b []byte) [][]byte { return [][]byte{b[:len(b)/2], b[len(b)/2:]} }

var (
	directWrites = []direction{
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op { return o.WriteAt(f, b, off) },
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op { return o.WritevAt(f, halves(b), off) },
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op {
			return o.Pwritev2(f, halves(b), off, unix.RWF_DSYNC)
		},
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op {
			return o.Pwritev2(f, [][]byte{b}, off, unix.RWF_SYNC)
		},
	}
	directReads = []direction{
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op { return o.ReadAt(f, b, off) },
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op { return o.ReadvAt(f, halves(b), off) },
		func(o *op.Op, f *proactor.File, b []byte, off int64) *op.Op { return o.Preadv2(f, halves(b), off, 0) },
	}
)

// all does one of the ways with each block of the memory, all at once.
func (e *env) all(ways []direction, f *proactor.File, memory []byte, block int) {
	e.Helper()
	ops, done := make([]op.Op, len(memory)/block), make(chan error, len(memory)/block)
	e.onLoop(func() {
		for i := range ops {
			b := memory[i*block : (i+1)*block]
			ops[i].Done = func(o *op.Op) {
				n, err := o.Result()
				if err == nil && n != block {
					err = io.ErrShortWrite
				}
				done <- err
			}
			_, err := e.loop.Submit(ways[i%len(ways)](&ops[i], f, b, int64(i*block)))
			assert.NoError(e, err)
		}
	})
	for range ops {
		require.NoError(e, await(e, done))
	}
}

// What is written with O_DIRECT, at first behind the end of the file and then over what
// is there, is read back, however many operations are in flight and of whatever kind.
func directMany(e *env) {
	l := e.start()
	f, align := e.direct(nil)
	block := 2 * align
	data, back := l.Memory(directBlocks*block), l.Memory(directBlocks*block)
	for round := range 3 {
		copy(data, pattern(round, len(data)))
		e.all(directWrites, f, data, block)
		clear(back)
		e.all(directReads, f, back, block)
		requireSame(e, data, back)
	}
}

// Each of many has one result, its own or that it was cancelled, whatever is cancelled and
// closed meanwhile.
func directCancelled(e *env) {
	l := e.start()
	f, align := e.direct(nil)
	data := l.Memory(directBlocks * align)
	copy(data, pattern(0, len(data)))
	e.all(directWrites[:1], f, data, align)
	back := l.Memory(len(data))
	ops, ends := make([]op.Op, directBlocks), make([]int, directBlocks)
	done := make(chan error, 2*directBlocks)
	e.onLoop(func() {
		for i := range ops {
			ops[i].Done = func(o *op.Op) {
				ends[i]++
				n, err := o.Result()
				if err == nil && n != align {
					err = io.ErrUnexpectedEOF
				}
				if errors.Is(err, op.ErrCanceled) {
					clear(back[i*align : (i+1)*align])
					copy(back[i*align:], data[i*align:(i+1)*align])
					err = nil
				}
				done <- err
			}
			t, err := l.Submit(ops[i].ReadAt(f, back[i*align:(i+1)*align], int64(i*align)))
			assert.NoError(e, err)
			if i%3 == 0 {
				l.Cancel(t)
			}
		}
		assert.NoError(e, f.Close(nil))
	})
	for range ops {
		require.NoError(e, await(e, done))
	}
	requireSame(e, data, back)
	e.onLoop(func() {
		for i, n := range ends {
			assert.Equal(e, 1, n, i)
		}
	})
}
