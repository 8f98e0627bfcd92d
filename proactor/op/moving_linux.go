package op

import (
	"errors"
	"io"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NewPipe makes a pipe of at least size bytes, or as large as the system allows
// (man 7 pipe); 0 is the system's own size, 64 KiB.
func NewPipe(size int) (*Pipe, error) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	p := &Pipe{r: int32(fd[0]), w: int32(fd[1])}
	if size > 0 { // where that is refused, the pipe is smaller and does as well
		_, _ = unix.FcntlInt(uintptr(fd[1]), unix.F_SETPIPE_SZ, size)
	}
	p.size, _ = unix.FcntlInt(uintptr(fd[1]), unix.F_GETPIPE_SZ, 0)
	return p, nil
}

// Close closes the pipe, with what it holds.
func (p *Pipe) Close() {
	CloseFD(int(p.r))
	CloseFD(int(p.w))
	p.r, p.w = -1, -1
}

// Write puts a copy of b behind what the pipe holds, a protocol's header for example.
// It doesn't wait: io.ErrShortWrite comes with the count of what there was room for.
func (p *Pipe) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = unix.Write(int(p.w), b[n:])
		n += max(k, 0)
		if err == unix.EINTR {
			err = nil
		}
	}
	p.n += n
	if err == unix.EAGAIN {
		return n, io.ErrShortWrite
	}
	return n, os.NewSyscallError("write", err)
}

// Read takes bytes out of the pipe, at least one. It doesn't wait: io.EOF means that
// there are none.
func (p *Pipe) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.n == 0 {
		return 0, io.EOF
	}
	for {
		if n, err = unix.Read(int(p.r), b); err != unix.EINTR {
			break
		}
	}
	p.n -= max(n, 0)
	return max(n, 0), os.NewSyscallError("read", err)
}

// take returns an empty pipe, or a negative errno.
func (s *Pipes) take() (*Pipe, int32) {
	if p := s.idle(); p != nil {
		return p, 0
	}
	p, err := NewPipe(s.Size)
	if err != nil {
		return nil, errnoOf(err)
	}
	return p, 0
}

// full reports whether a pipe takes nothing more.
func (p *Pipe) full() bool {
	if p.n == 0 {
		return false
	}
	fds := [1]unix.PollFd{{Fd: p.w, Events: unix.POLLOUT}}
	n, _ := unix.Poll(fds[:], 0)
	return n == 0
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// move executes what moves data within the kernel.
func move(r *Req, s *Scratch, block bool) int32 {
	a := r.Args()
	switch r.Code {
	case SendFile:
		if a.away {
			return r.warm(s)
		}
		return sendFile(r, block)
	case SpliceIn:
		return spliceIn(r, block)
	case SpliceOut:
		n := call(block, unix.SYS_SPLICE, uintptr(a.Pipe.r), 0, r.fd(), r.position(), uintptr(r.left()), spliceFlags)
		a.Pipe.n -= int(max(n, 0))
		return n
	}
	if a.Pipe2.n == 0 {
		return 0
	}
	n := call(block, unix.SYS_TEE, uintptr(a.Pipe2.r), uintptr(a.Pipe.w), uintptr(r.left()), unix.SPLICE_F_NONBLOCK, 0, 0)
	if n == EAGAIN {
		return -int32(unix.ENOBUFS)
	}
	a.Pipe.n += int(max(n, 0))
	return n
}

// left returns how many bytes one attempt asks for.
func (r *Req) left() int { return min(r.N-r.Moved, MaxBytes) }

// position returns the address of the file offset, 0 for what has none.
func (r *Req) position() uintptr {
	if r.Handle.s.NoSeek {
		return 0
	}
	a := r.Args()
	a.pos = r.RestOff()
	return uintptr(unsafe.Pointer(&a.pos))
}

func spliceIn(r *Req, block bool) int32 {
	a := r.Args()
	p := a.Pipe
	if a.Pipes != nil {
		var e int32
		if p, e = a.Pipes.take(); p == nil {
			return e
		}
	}
	n := call(block, unix.SYS_SPLICE, r.fd(), r.position(), uintptr(p.w), 0, uintptr(r.left()), spliceFlags)
	p.n += int(max(n, 0))
	switch {
	case a.Pipes != nil && n > 0:
		a.Pipe = p
	case a.Pipes != nil:
		a.Pipes.Put(p)
	case n == EAGAIN && p.full():
		return -int32(unix.ENOBUFS)
	}
	return n
}

// piece is how much of a file one attempt sends at most. It is looked for in the page
// cache first; where there is no cachestat(2), by a byte of each step: the kernel reads
// ahead in larger ones.
const (
	piece = 1 << 20
	step  = 128 << 10
)

// nextPiece returns where in the file it is, up to the largest offset there can be.
func (r *Req) nextPiece() (from, end int64) {
	from = r.RestOff()
	return from, from + min(int64(r.N-r.Moved), piece, math.MaxInt64-from)
}

func sendFile(r *Req, block bool) int32 {
	a := r.Args()
	a.pos = r.RestOff()
	n := min(int64(r.left()), max(a.cached-a.pos, step))
	return call(block, sysSendfile, r.fd(), uintptr(a.Dir2.s.FD), uintptr(unsafe.Pointer(&a.pos)), uintptr(n), 0, 0)
}

// Cold reports whether the next piece of a SendFile isn't in the page cache: a loop
// would wait for the disk. A worker then reads it, as the next attempt.
func (r *Req) Cold(s *Scratch) bool {
	if r.Code != SendFile {
		return false
	}
	a := r.Args()
	a.away = false
	from, end := r.nextPiece()
	if from < a.cached {
		return false
	}
	a.away = !s.finds(a.Dir2.s.FD, from, end)
	if !a.away {
		a.cached = end
	}
	return a.away
}

// finds reports whether the page cache has a part of the file.
func (s *Scratch) finds(fd int32, from, end int64) bool {
	if s.hasPages(fd, from, end) {
		from = end - 1 // the last page could still be on its way from the disk
	}
	if s.disk == nil {
		s.disk = make([]byte, 1)
	}
	v := unix.Iovec{Base: &s.disk[0]}
	v.SetLen(1)
	s.iov = append(s.iov[:0], v)
	defer s.Clear()
	for off := from; off < end; off += min(step, max(end-1-off, 1)) {
		n := call(false, unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&s.iov[0])), 1, uintptr(off), uintptr(uint64(off)>>32), unix.RWF_NOWAIT)
		if n <= 0 {
			return n == 0 // behind the end of the file
		}
	}
	return true
}

// cacheStat is what cachestat(2) takes and gives.
type cacheStat struct {
	off, len uint64
	pages    uint64
	_        [4]uint64
}

// hasPages asks cachestat(2) (Linux 6.5), which doesn't know where the file ends.
func (s *Scratch) hasPages(fd int32, from, end int64) bool {
	if s.cache == nil {
		s.cache = new(cacheStat)
	}
	page := int64(pageSize)
	*s.cache = cacheStat{off: uint64(from), len: uint64(end - from)}
	n := call(false, unix.SYS_CACHESTAT, uintptr(fd), uintptr(unsafe.Pointer(&s.cache.off)), uintptr(unsafe.Pointer(&s.cache.pages)), 0, 0, 0)
	return n == 0 && int64(s.cache.pages) >= (end-1)/page-from/page+1
}

var pageSize = os.Getpagesize()

// warm reads the next piece, so that it is in the page cache. Its result is EINTR: the
// attempt begins anew.
func (r *Req) warm(s *Scratch) int32 {
	if len(s.disk) < step {
		s.disk = make([]byte, step)
	}
	a := r.Args()
	from, end := r.nextPiece()
	for off := from; off < end; {
		n, err := unix.Pread(int(a.Dir2.s.FD), s.disk[:min(step, end-off)], off)
		if err != nil && err != unix.EINTR {
			return errnoOf(err)
		}
		if n == 0 && err == nil {
			break
		}
		off += int64(max(n, 0))
	}
	a.cached = end
	return -int32(unix.EINTR)
}

// errnoOf returns a system call's error as a negative errno.
func errnoOf(err error) int32 {
	var e unix.Errno
	if errors.As(err, &e) {
		return -int32(e)
	}
	return -int32(unix.EIO)
}

// Disconnect lets a TCP socket forget what it hasn't sent, with a reset (connect(2) to
// AF_UNSPEC): the kernel then needs the memory of zero-copy sends no more.
func Disconnect(fd int) {
	none := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNSPEC}}
	_, _, _ = unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none.Addr))
}
