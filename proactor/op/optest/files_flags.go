//go:build linux

package optest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func memoryAdvice(e *env) {
	e.start()
	page := os.Getpagesize()
	m, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(e, err)
	e.Cleanup(func() { _ = unix.Munmap(m) })
	for i := range m {
		m[i] = 1
	}
	n, err := e.do(func(o *op.Op) *op.Op { return o.Madvise(m[page:3*page], unix.MADV_DONTNEED) })
	require.NoError(e, err)
	require.Zero(e, n)
	for i, b := range m { // the two pages in the middle are zero again
		if i < page || i >= 3*page {
			require.EqualValues(e, 1, b)
		} else {
			require.Zero(e, b)
		}
	}
	_, err = e.do(func(o *op.Op) *op.Op { return o.Madvise(m[1:], unix.MADV_WILLNEED) })
	require.ErrorIs(e, err, syscall.EINVAL, "not at a page boundary")
	_, err = e.do(func(o *op.Op) *op.Op { return o.Madvise(m, 9999) })
	require.ErrorIs(e, err, syscall.EINVAL)
	_, err = e.do(func(o *op.Op) *op.Op { return o.Madvise(m[:0], unix.MADV_NORMAL) })
	require.NoError(e, err)
}

func flagged(e *env) {
	e.start()
	path := filepath.Join(e.TempDir(), "file")
	f := openFile(e, path, os.O_RDWR|os.O_CREATE)
	write := func(off int64, flags int, v ...string) {
		e.Helper()
		var all [][]byte
		total := 0
		for _, s := range v {
			all, total = append(all, []byte(s)), total+len(s)
		}
		n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteVec(all, off, flags, d) })
		require.NoError(e, err)
		require.Equal(e, total, n)
	}
	write(0, 0, "abc", "", "defg")
	write(1, unix.RWF_DSYNC, "B", "C")
	write(3, unix.RWF_SYNC, "D")
	write(0, unix.RWF_APPEND, "hij", "k") // at the end, whatever the offset
	write(1<<40, unix.RWF_APPEND, "l")
	a, b := make([]byte, 5), make([]byte, 20)
	n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadVec([][]byte{a, b}, 0, 0, d) })
	require.True(e, err == io.EOF)
	require.Equal(e, 12, n)
	require.Equal(e, "aBCDefghijkl", string(a)+string(b[:7]))

	_, err = f.ReadVec([][]byte{a}, -1, 0, nil)
	require.ErrorIs(e, err, op.ErrInvalid)
	// A disk isn't polled unless it was set up to be: no harm is done.
	n, err = counted(e, func(d func(int, error)) (op.Ticket, error) {
		return f.ReadVec([][]byte{a}, 0, unix.RWF_HIPRI, d)
	})
	require.NoError(e, err)
	require.Equal(e, 5, n)

	// More buffers than one attempt takes.
	many := make([][]byte, 3*op.MaxVector+1)
	for i := range many {
		many[i] = []byte{byte(i)}
	}
	n, err = counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteVec(many, 100, unix.RWF_APPEND, d) })
	require.NoError(e, err)
	require.Equal(e, len(many), n)
	got, err := os.ReadFile(path)
	require.NoError(e, err)
	require.Len(e, got, 12+len(many))
	for i, c := range got[12:] {
		require.Equal(e, byte(i), c)
	}
}

// What the page cache holds is read, and nothing waits for the rest: EAGAIN has the
// count so far.
func nowaitRead(e *env) {
	e.start()
	const size, cached = 1 << 20, 64 << 10
	data := pattern(0, size)
	h, _ := e.file(data)
	b := make([]byte, size)
	read := func() (int, error) {
		e.Helper()
		return e.do(func(o *op.Op) *op.Op { return o.Preadv2(h, [][]byte{b[:100], b[100:]}, 0, unix.RWF_NOWAIT) })
	}
	n, err := read()
	if err == nil || !isErrno(err, syscall.EOPNOTSUPP) {
		require.NoError(e, err)
		require.Equal(e, size, n)
		requireSame(e, data, b)
	} else {
		e.Skip("the file system can't tell what is cached")
	}
	require.NoError(e, unix.Fsync(h.FD()))
	require.NoError(e, unix.Fadvise(h.FD(), 0, size, unix.FADV_DONTNEED))
	require.NoError(e, unix.Fadvise(h.FD(), 0, size, unix.FADV_RANDOM)) // without read-ahead
	_, err = unix.Pread(h.FD(), make([]byte, cached), 0)
	require.NoError(e, err)
	clear(b)
	jobs := e.stats().Engine.Jobs
	n, err = read()
	require.Equal(e, jobs, e.stats().Engine.Jobs, "a worker had to wait")
	if err == nil {
		require.Equal(e, size, n)
		e.Skip("the page cache doesn't let go of the file") // tmpfs, or somebody else's read
	}
	require.ErrorIs(e, err, syscall.EAGAIN)
	require.Less(e, n, size)
	requireSame(e, data[:n], b[:n])
	n, err = e.do(func(o *op.Op) *op.Op { return o.Preadv2(h, [][]byte{b}, 0, 0) })
	require.NoError(e, err)
	require.Equal(e, size, n)
	requireSame(e, data, b)
}

func isErrno(err error, want syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno == want
}

var flaggedCases = []same{
	{"preadv2", func(s *same13) *op.Op {
		return s.o.Preadv2(s.open(unix.O_RDONLY, "0123456789"), [][]byte{s.buf(), nil, s.buf()}, 0, 0)
	}, 10, io.EOF},
	{"preadv2 of nothing", func(s *same13) *op.Op { return s.o.Preadv2(s.open(unix.O_RDONLY, "x"), nil, 0, 0) }, 0, nil},
	{"preadv2 on a write-only file", func(s *same13) *op.Op {
		return s.o.Preadv2(s.open(unix.O_WRONLY, "x"), [][]byte{s.buf()}, 0, 0)
	}, 0, syscall.EBADF},
	{"preadv2 on a pipe", func(s *same13) *op.Op { return s.o.Preadv2(s.fed("abc"), [][]byte{s.buf()}, 0, 0) }, 0, syscall.ESPIPE},
	{"preadv2 with flags that don't exist", func(s *same13) *op.Op {
		return s.o.Preadv2(s.open(unix.O_RDONLY, "x"), [][]byte{s.buf()}, 0, 1<<30)
	}, 0, syscall.EOPNOTSUPP},
	{"pwritev2 with RWF_DSYNC", func(s *same13) *op.Op {
		return s.o.Pwritev2(s.open(unix.O_RDWR, "x"), [][]byte{s.buf(), s.buf()}, 1, unix.RWF_DSYNC)
	}, 16, nil},
	{"pwritev2 on a read-only file", func(s *same13) *op.Op {
		return s.o.Pwritev2(s.open(unix.O_RDONLY, "x"), [][]byte{s.buf()}, 0, unix.RWF_APPEND)
	}, 0, syscall.EBADF},
	{"preadv2 with RWF_HIPRI", func(s *same13) *op.Op {
		return s.o.Preadv2(s.open(unix.O_RDONLY, "01234567"), [][]byte{s.buf()}, 0, unix.RWF_HIPRI)
	}, 8, nil},
	{"madvise of nothing that is known", func(s *same13) *op.Op {
		return s.o.Madvise(aligned(4096, os.Getpagesize()), 9999)
	}, 0, syscall.EINVAL},
	{"getxattr of a file that isn't there", func(s *same13) *op.Op {
		return s.o.Getxattr("/nowhere/at/all", xattrName, s.buf())
	}, 0, syscall.ENOENT},
	{"setxattr without a class", func(s *same13) *op.Op {
		return s.o.Fsetxattr(s.open(unix.O_RDWR, ""), "nothing", s.buf(), 0)
	}, 0, syscall.EOPNOTSUPP},
	{"getdents of a file", func(s *same13) *op.Op { return s.o.Getdents(s.open(unix.O_RDONLY, ""), s.buf()) }, 0, syscall.ENOTDIR},
	{"getdents into too little", func(s *same13) *op.Op { return s.o.Getdents(s.dir(), s.buf()) }, 0, syscall.EINVAL},
}

func flaggedAllocs(e *env) {
	e.loop = e.newLoop(Config{})
	h, _ := e.file([]byte("contents"))
	last := 0
	rd := op.Op{Done: func(o *op.Op) { last, _ = o.Result() }}
	v := [][]byte{make([]byte, 4), make([]byte, 4)}
	allocs(e, func(run func(*op.Op)) { run(rd.Preadv2(h, v, 0, 0)) })
	require.Equal(e, 8, last)
}

// What waits for a worker ends when it is cancelled; what a ring does by itself ends
// with its result.
func cancelWaiting(e *env) {
	e.startWith(Config{Workers: 1})
	h, path := e.file([]byte("contents"))
	dir := e.TempDir()
	f := openFile(e, path, os.O_RDWR)
	for name, do := range map[string]does{
		"list": func(d func(error)) (op.Ticket, error) {
			return e.loop.ReadDir(dir, func(all []os.DirEntry, err error) {
				require.Nil(e, all)
				d(err)
			})
		},
		"names of attributes": func(d func(error)) (op.Ticket, error) {
			return f.Listxattr(func(_ []string, err error) { d(err) })
		},
		"copy":             e.raw(func(o *op.Op) *op.Op { return o.CopyFileRange(h, 0, f, 0, 4) }),
		"remove attribute": func(d func(error)) (op.Ticket, error) { return f.Removexattr(xattrName, d) },
		"getdents":         e.raw(func(o *op.Op) *op.Op { return o.Getdents(h, make([]byte, 64)) }),
		"polled read": e.raw(func(o *op.Op) *op.Op {
			return o.Preadv2(h, [][]byte{make([]byte, 1)}, 0, unix.RWF_HIPRI)
		}),
	} {
		require.ErrorIs(e, e.cancelled(do), op.ErrCanceled, name)
	}
}

// raw is a prepared operation as a closure verb.
func (e *env) raw(prepare func(o *op.Op) *op.Op) does {
	return func(done func(error)) (op.Ticket, error) {
		return e.loop.Submit(prepare(&op.Op{Done: func(o *op.Op) {
			_, err := o.Result()
			done(err)
		}}))
	}
}
