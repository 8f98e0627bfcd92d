//go:build linux

package optest

import (
	"io"
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
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
