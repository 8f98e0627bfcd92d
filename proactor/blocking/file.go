package blocking

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// File is an open file whose methods block, with the errors of *os.File's. It has a
// position of its own, which Read, Write and Seek use; the kernel's isn't. Pipes,
// terminals and other files without offsets are read and written in order, and have
// deadlines.
type File struct {
	net    *Net
	f      *proactor.File
	name   string
	append bool
	stream bool // it has no offsets
	rd, wr side // of a stream
	gate   gate

	mu  sync.Mutex // held while Read and Write move the position
	pos int64

	dir directory
}

var (
	_ fs.ReadDirFile     = (*File)(nil)
	_ io.ReadWriteSeeker = (*File)(nil)
	_ io.ReaderAt        = (*File)(nil)
	_ io.WriterAt        = (*File)(nil)
	_ io.ReaderFrom      = (*File)(nil)
	_ io.WriterTo        = (*File)(nil)
	_ io.StringWriter    = (*File)(nil)
)

// Open opens a file for reading, as os.Open does. The error is a *fs.PathError.
func (n *Net) Open(name string) (*File, error) { return n.OpenFile(name, os.O_RDONLY, 0) }

// Create makes a file, or empties the one that there is, as os.Create does. The error is
// a *fs.PathError.
func (n *Net) Create(name string) (*File, error) {
	return n.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens a file as os.OpenFile does (openat(2)), close-on-exec. A FIFO is to be
// opened with O_RDWR, or with its other end open: io_uring doesn't wait for that, and
// epoll has a worker wait, which nothing interrupts.
func (n *Net) OpenFile(name string, flags int, perm fs.FileMode) (*File, error) {
	f, err := n.open(name, flags, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return f, nil
}

func (n *Net) open(name string, flags int, perm fs.FileMode) (*File, error) {
	w := n.waiter()
	defer w.free()
	w.op.OpenAt(nil, name, flags, modeBits(perm))
	fd, err := w.submit()
	if errors.Is(err, op.ErrInvalid) {
		err = syscall.EINVAL // a NUL in the name
	}
	if err != nil {
		return nil, err
	}
	f, err := n.loop.NewFile(fd, name)
	if err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	k := &File{net: n, f: f, name: name, append: flags&os.O_APPEND != 0, stream: !f.State().Kind.IsFile()}
	k.gate.loop, k.gate.state = n.loop, f.State()
	f.State().Resumes = true // as for connections
	return k, nil
}

// modeBits is a mode as system calls take it.
func modeBits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

// Name returns the name given to Open.
func (f *File) Name() string { return f.name }

// do executes the waiter's operation on the file, prepared.
func (f *File) do(w *waiter) (int, error) {
	if f.gate.isClosed() {
		return 0, os.ErrClosed
	}
	return w.submit()
}

// Read reads at the position (pread(2)), and moves it. It returns io.EOF at the end of
// the file; less than len(b) only there.
func (f *File) Read(b []byte) (int, error) {
	if f.stream {
		n, err := f.readStream(b)
		return n, f.pathError("read", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.readAt(b, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, f.pathError("read", err)
}

// ReadAt reads len(b) bytes at the offset (pread(2)): fewer come with an error, which
// is io.EOF at the end of the file.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, f.pathError("readat", errNegative)
	}
	n, err := f.readAt(b, off)
	return n, f.pathError("read", err)
}

var errNegative = errors.New("negative offset")

func (f *File) readAt(b []byte, off int64) (int, error) {
	w := f.net.waiter()
	defer w.free()
	w.op.ReadAt(f.f, b, off)
	return f.do(w)
}

// Write writes all of b at the position (pwrite(2)), with O_APPEND at the end of the
// file, and moves it.
func (f *File) Write(b []byte) (int, error) {
	if f.stream {
		n, err := f.writeStream(b)
		return n, f.pathError("write", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.writeAt(b, f.pos)
	f.pos += int64(n)
	if f.append && n > 0 {
		if size, err := f.f.Size(); err == nil {
			f.pos = size
		}
	}
	return n, f.pathError("write", err)
}

// WriteString is Write of a string.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// errAppend is as package os has it: the kernel would write at the end.
var errAppend = errors.New("blocking: invalid use of WriteAt on file opened with O_APPEND")

// WriteAt writes all of b at the offset (pwrite(2)). A file opened with O_APPEND has no
// WriteAt: it returns an error.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	switch {
	case f.append:
		return 0, errAppend
	case off < 0:
		return 0, f.pathError("writeat", errNegative)
	}
	n, err := f.writeAt(b, off)
	return n, f.pathError("write", err)
}

func (f *File) writeAt(b []byte, off int64) (int, error) {
	w := f.net.waiter()
	defer w.free()
	w.op.WriteAt(f.f, b, off)
	return f.do(w)
}

// Seek moves the position: see io.Seeker. On a directory it begins ReadDir anew.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	to, err := f.seek(offset, whence)
	return to, f.pathError("seek", err)
}

func (f *File) seek(offset int64, whence int) (int64, error) {
	switch {
	case f.gate.isClosed():
		return 0, os.ErrClosed
	case f.stream:
		return 0, syscall.ESPIPE
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		size, err := f.f.Size()
		if err != nil {
			return 0, err
		}
		offset += size
	default:
		return 0, syscall.EINVAL
	}
	if offset < 0 {
		return 0, syscall.EINVAL
	}
	if f.dir.rewind() && offset != 0 {
		return 0, syscall.EISDIR
	}
	f.pos = offset
	return offset, nil
}

// ReadFrom writes what r has, up to its end, as Write does: see io.ReaderFrom.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	b := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(b)
	return io.CopyBuffer(onlyWriter{f}, onlyReader{r}, *b)
}

// WriteTo writes what is left of the file, up to its end, to w: see io.WriterTo.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	b := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(b)
	return io.CopyBuffer(onlyWriter{w}, onlyReader{f}, *b)
}

// A copy's way through the loop is worth more bytes than io.Copy takes.
var copyBuffers = sync.Pool{New: func() any {
	b := make([]byte, 128<<10)
	return &b
}}

// onlyReader and onlyWriter hide methods that would copy by themselves.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// Stat tells of the file (statx(2)); its Sys is a *proactor.Statx.
func (f *File) Stat() (fs.FileInfo, error) {
	var i *proactor.FileInfo
	err := f.verb(func(done func(error)) error {
		_, err := f.f.Stat(func(got *proactor.FileInfo, err error) {
			i = got
			done(err)
		})
		return err
	})
	if err != nil {
		return nil, f.pathError("stat", err)
	}
	return i, nil
}

// Sync makes what was written durable (fsync(2)).
func (f *File) Sync() error {
	w := f.net.waiter()
	defer w.free()
	w.op.Fsync(f.f)
	_, err := f.do(w)
	return f.pathError("sync", err)
}

// Truncate makes the file size bytes long (ftruncate(2)); the position stays.
func (f *File) Truncate(size int64) error {
	if size < 0 {
		return f.pathError("truncate", syscall.EINVAL)
	}
	w := f.net.waiter()
	defer w.free()
	w.op.Ftruncate(f.f, size)
	_, err := f.do(w)
	return f.pathError("truncate", err)
}

// verb waits for the callback of a verb of the loop.
func (f *File) verb(verb func(done func(error)) error) error {
	if f.gate.isClosed() {
		return os.ErrClosed
	}
	return f.net.verb(verb)
}

// verb waits for the callback of a verb of the loop.
func (n *Net) verb(verb func(done func(error)) error) (err error) {
	if n.loop.Inside() {
		return ErrInside
	}
	w := n.waiter()
	defer w.free()
	if err := verb(func(failed error) {
		err = failed
		w.wake(nil)
	}); err != nil {
		return err
	}
	<-w.woken
	return err
}

// Close closes the file, when the operations that are under way have ended; reads and
// writes of a stream are cancelled.
func (f *File) Close() error {
	err := f.gate.close()
	if err == nil {
		if f.net.loop.Inside() {
			go f.dir.close() // a ReadDir may be waiting for the loop
		} else {
			f.dir.close()
		}
		if f.stream {
			err = f.net.closing(f.f.Abort)
		} else {
			err = f.net.closing(f.f.Close)
		}
	}
	return f.pathError("close", err)
}

// SyscallConn returns access to the descriptor: only by Control.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if f.gate.isClosed() {
		return nil, os.ErrClosed
	}
	return rawFile{f}, nil
}

type rawFile struct{ f *File }

// Control calls f with the descriptor, which stays open meanwhile.
func (r rawFile) Control(f func(fd uintptr)) error {
	return r.f.pathError("SyscallConn", r.f.gate.use(func() { f(uintptr(r.f.f.FD())) }))
}

// Read returns errors.ErrUnsupported.
func (rawFile) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

// Write returns errors.ErrUnsupported.
func (rawFile) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

func (f *File) pathError(what string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return pathError(what, f.name, err)
}
