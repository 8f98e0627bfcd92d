package proactor

import (
	"os"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// File is an open file of a loop. Its methods may be called by any goroutine;
// the callbacks run on the loop. Operations on a file run side by side: no order
// is promised between them (rule 3). Memory given to them is the loop's until the
// callback; offsets and counts are in bytes.
type File struct {
	handle
	loop *Loop
	name string
}

// Memory returns n zero bytes that begin at a page boundary, as O_DIRECT wants it.
// With io_uring they are also registered with the kernel, where it and
// RLIMIT_MEMLOCK allow, which makes ReadAt into and WriteAt from any part of them
// cheaper: about a tenth of the CPU of a 4 KiB read with O_DIRECT, nothing to a fifth of
// a cached one. Its pages stay locked until the loop is closed, so take it once, in one
// piece, and cut it up; a loop registers 16 pieces of at most 1 GiB. It is ordinary
// memory otherwise, and the garbage collector's when neither the loop nor the caller has
// it any more. Any goroutine may call it.
func (l *Loop) Memory(n int) []byte {
	page := os.Getpagesize()
	b := make([]byte, n+page)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (page - 1)
	b = b[skip : skip+n : skip+n]
	_ = l.Post(func() { l.engine.Register(b) }) // without it, it is merely slower
	return b
}

// OpenFile opens a file (openat(2)), close-on-exec; flags are as for os.OpenFile, and
// O_DIRECT is allowed. Mode has the permission bits of a file that is made, less those
// of the process's umask. Any goroutine may call it.
//
// The errors of this and of what else is asked for by a name, and of a File's
// methods, are those of package os: *fs.PathError, or *os.LinkError where there are
// two names, with the same Op. In them is an errno, or what op.Op.Result names.
// Io.EOF comes bare, and so does op.ErrFull from the verbs themselves.
func (l *Loop) OpenFile(name string, flags int, mode uint32, done func(*File, error)) (op.Ticket, error) {
	k, err := l.calls.get(l, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.at = place{verb: "open", name: name}
	k.f = func(fd int, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		f, err := l.newFile(fd, name, flags)
		if err != nil {
			op.CloseFD(fd)
		}
		done(f, place{verb: "open", name: name}.explain(err))
	}
	k.op.OpenAt(nil, name, flags, mode)
	return k.send(0)
}

// NewFile makes a descriptor a File of the loop, which owns it from here on; on
// an error (EBADF; ErrClosed: the loop is) it stays the caller's. The name is for Name
// and for errors. Any goroutine may call it.
func (l *Loop) NewFile(fd int, name string) (*File, error) {
	return l.newFile(fd, name, unknownFlags)
}

func (l *Loop) newFile(fd int, name string, flags int) (*File, error) {
	f := &File{loop: l, name: name}
	if err := l.adopt(&f.handle, fd, flags); err != nil {
		return nil, err
	}
	return f, nil
}

// Name returns the name given to OpenFile or NewFile.
func (f *File) Name() string { return f.name }

// Size returns the file's size in bytes (fstat(2)). It asks the kernel at once.
func (f *File) Size() (int64, error) {
	fd := f.FD()
	if fd < 0 {
		return 0, f.at("stat").explain(ErrClosed)
	}
	n, err := fileSize(fd)
	return n, f.at("stat").explain(err)
}

// ReadAt reads len(b) bytes at the offset (pread(2)). As with io.ReaderAt, fewer
// come with an error: io.EOF at the end of the file.
func (f *File) ReadAt(b []byte, off int64, done func(n int, err error)) (op.Ticket, error) {
	k, err := f.loop.calls.get(f.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.at = done, f.at("read")
	k.op.ReadAt(f, b, off)
	return k.send(0)
}

// WriteAt writes all of b at the offset (pwrite(2)). An error, ENOSPC for example, comes
// with the count of what was written. A file that was opened with O_APPEND is written at
// its end, whatever the offset.
func (f *File) WriteAt(b []byte, off int64, done func(n int, err error)) (op.Ticket, error) {
	k, err := f.loop.calls.get(f.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.at = done, f.at("write")
	k.op.WriteAt(f, b, off)
	return k.send(0)
}

// ReadVec is ReadAt into several buffers, filled in order, with flags of preadv2(2):
// with RWF_NOWAIT it ends with EAGAIN and the count so far where it would have to
// wait for the disk. The slice of slices is the loop's until done.
func (f *File) ReadVec(v [][]byte, off int64, flags int, done func(n int, err error)) (op.Ticket, error) {
	k, err := f.loop.calls.get(f.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.at = done, f.at("read")
	k.op.Preadv2(f, v, off, flags)
	return k.send(0)
}

// WriteVec is WriteAt of several buffers, in order, with flags of pwritev2(2): with
// RWF_DSYNC or RWF_SYNC what was written is durable when it completes, RWF_APPEND
// writes at the end of the file whatever the offset. The slice of slices is the
// loop's until done.
func (f *File) WriteVec(v [][]byte, off int64, flags int, done func(n int, err error)) (op.Ticket, error) {
	k, err := f.loop.calls.get(f.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.at = done, f.at("write")
	k.op.Pwritev2(f, v, off, flags)
	return k.send(0)
}

// Sync makes what was written durable (fsync(2)), or with dataOnly just what is
// needed to read it back (fdatasync(2)). It covers writes that had completed
// when it was submitted.
func (f *File) Sync(dataOnly bool, done func(error)) (op.Ticket, error) {
	k, err := f.loop.calls.get(f.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.at = done, f.at("sync")
	if dataOnly {
		k.op.Fdatasync(f)
	} else {
		k.op.Fsync(f)
	}
	return k.send(0)
}

// Close closes the file when the operations submitted before have completed.
// Its callback is the file's last, with the error of close(2) if it had one. It returns
// ErrClosed if the file is already closed or closing.
func (f *File) Close(done func(error)) error { return f.loop.closeHandleAt(f, done, -1, f.at("close")) }

// Abort is Close that first cancels what can be cancelled.
func (f *File) Abort(done func(error)) error { return f.loop.abortHandleAt(f, done, f.at("close")) }
