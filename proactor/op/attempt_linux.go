package op

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Scratch is what a system call needs besides the request: the header and the
// vector of a message. It is on the heap and outlives the call. The vectors
// hold real pointers, so the garbage collector sees what they name.
type Scratch struct {
	msg   unix.Msghdr
	iov   []unix.Iovec
	batch *batch // once there was one
	about []byte // sender and control messages of one that a ring receives
	disk  []byte // what a worker reads to have it in the page cache
	cache *cacheStat
	// Filled are the buffers that RecvBatch has received into.
	Filled []*Buffer
}

// MaxVector is how many buffers one attempt takes: IOV_MAX.
const MaxVector = 1024

// Vector fills the scratch with the buffers of r that have not moved yet.
func (s *Scratch) Vector(r *Req) []unix.Iovec {
	s.iov = s.iov[:0]
	if r.Code == Send {
		return s.gathered(r)
	}
	skip, room := r.Moved, MaxBytes
	for _, b := range r.Slices() {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		if len(s.iov) == MaxVector || room == 0 {
			break
		}
		b = b[skip:]
		b = b[:min(len(b), room)] // not up to skip+room, which is beyond 32 bits
		skip, room = 0, room-len(b)
		v := unix.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		s.iov = append(s.iov, v)
	}
	return s.iov
}

// gathered fills the scratch with what is left of several sends.
func (s *Scratch) gathered(r *Req) []unix.Iovec {
	room := MaxBytes
	for n := r.Off; n > 0 && room > 0; n-- {
		p, k := r.Rest()
		v := unix.Iovec{Base: (*byte)(p)}
		k = min(k, room)
		v.SetLen(k)
		s.iov = append(s.iov, v)
		room -= k
		if n > 1 {
			r = &r.Next.req
		}
	}
	return s.iov
}

// Message is Vector as the header of a message.
func (s *Scratch) Message(r *Req) *unix.Msghdr {
	iov := s.Vector(r)
	s.msg = unix.Msghdr{Iov: unsafe.SliceData(iov)}
	s.msg.SetIovlen(len(iov))
	return &s.msg
}

// Clear forgets the buffers, so that the scratch doesn't keep them alive.
func (s *Scratch) Clear() {
	clear(s.iov)
	s.msg = unix.Msghdr{}
}

// EAGAIN as the result of an attempt means: wait for readiness.
const EAGAIN = -int32(unix.EAGAIN)

// Attempt executes o once as a plain system call and returns its result: a
// count, or a negative errno. On the loop's goroutine (block false) it never
// waits for the descriptor, and the call is hidden from the Go scheduler, which
// is only right for calls that return at once; on a worker (block true) it may
// take its time.
func Attempt(o *Op, s *Scratch, block bool) int32 {
	r := &o.req
	var n int32
	switch r.Code {
	case Accept, AcceptEach:
		n = call(block, unix.SYS_ACCEPT4, r.fd(), 0, 0, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
	case Connect:
		p, size := (*Sockaddr)(r.Ptr).Raw()
		n = call(block, unix.SYS_CONNECT, r.fd(), uintptr(p), size, 0, 0, 0)
	case Recv, Send:
		switch {
		case r.Batched():
			n = s.sendBatch(r, block)
		case r.Code == Send && r.Off > 1:
			n = transferVector(r, s, block)
		case r.Addressed():
			n = transferMessage(r, s, block)
		default:
			n = transfer(r, block)
		}
	case RecvMsg, SendMsg, SendMsgs:
		if r.Batched() {
			n = s.sendBatch(r, block)
		} else {
			n = transferMessage(r, s, block)
		}
	case Recvv, Sendv:
		n = transferVector(r, s, block)
	case ReadAt, WriteAt, ReadvAt, WritevAt:
		n = fileIO(r, s, block, 0)
	case SendZC:
		n = transfer(r, block)
	case SendFile, SpliceIn, SpliceOut, Tee:
		n = move(r, s, block)
	case Preadv2, Pwritev2:
		n = fileIO(r, s, block, uintptr(r.Args().Flags))
	case Nop:
	case Work:
		work(*(*func())(r.Ptr))
	default:
		n = control(r, block)
	}
	runtime.KeepAlive(o)
	return n
}

// work runs f on a goroutine of its own: it may leave that locked to its thread, or
// end it.
func work(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// Recv receives for o into a buffer of the pool: ENOBUFS if it has none.
func (p *Pool) Recv(o *Op) (*Buffer, int32) {
	b := p.Take()
	if b == nil {
		return nil, -int32(unix.ENOBUFS)
	}
	r := &o.req
	var n int32
	if r.Handle.s.Kind.IsSocket() {
		n = call(false, unix.SYS_RECVFROM, r.fd(), uintptr(unsafe.Pointer(&b.data[0])), uintptr(len(b.data)), unix.MSG_DONTWAIT, 0, 0)
	} else {
		n = call(false, unix.SYS_READ, r.fd(), uintptr(unsafe.Pointer(&b.data[0])), uintptr(len(b.data)), 0, 0, 0)
	}
	if n <= 0 {
		p.Refill(b)
		return nil, n
	}
	b.Fill(int(n), r.Handle)
	return b, n
}

func (r *Req) fd() uintptr { return uintptr(r.Handle.s.FD) }

func control(r *Req, block bool) int32 {
	switch r.Code {
	case Shutdown:
		return call(block, unix.SYS_SHUTDOWN, r.fd(), uintptr(r.Off), 0, 0, 0, 0)
	case Close:
		return call(block, unix.SYS_CLOSE, r.fd(), 0, 0, 0, 0, 0)
	case Fsync:
		return call(block, unix.SYS_FSYNC, r.fd(), 0, 0, 0, 0, 0)
	case Fdatasync:
		return call(block, unix.SYS_FDATASYNC, r.fd(), 0, 0, 0, 0, 0)
	case OpenAt:
		flags, mode := r.OpenHow()
		return call(block, unix.SYS_OPENAT, uintptr(r.DirFD()), uintptr(r.Ptr), uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), uintptr(mode), 0, 0)
	case Poll:
		return pollNow(r)
	case WaitID:
		return waitNow(r)
	case FutexWake:
		const wake = 1 // FUTEX_WAKE
		return call(block, unix.SYS_FUTEX, uintptr(r.Ptr), wake, uintptr(r.Off), 0, 0, 0)
	case StatxAt, OpenAt2, UnlinkAt, RenameAt, MkdirAt, LinkAt, SymlinkAt:
		return names(r, block)
	case Ftruncate, Fallocate, Fadvise, SyncFileRange:
		return ranges(r, block)
	case Madvise, Getdents:
		return memoryCall(r, block)
	case Getxattr, Setxattr, Listxattr, Removexattr:
		return attributes(r, block)
	case CopyFileRange:
		return copyRange(r)
	}
	return -int32(unix.EOPNOTSUPP)
}

// DirFD returns the directory of an openat.
func (r *Req) DirFD() int32 {
	if r.Handle == nil {
		return unix.AT_FDCWD
	}
	return r.Handle.s.FD
}

// pollNow returns the events of a Poll that are ready now.
func pollNow(r *Req) int32 {
	p := [1]unix.PollFd{{Fd: r.Handle.s.FD, Events: int16(r.Off | unix.POLLRDHUP)}}
	n, err := unix.Poll(p[:], 0)
	if n <= 0 {
		if errno, ok := err.(syscall.Errno); ok && errno != unix.EINTR {
			return -int32(errno)
		}
		return EAGAIN
	}
	return int32(uint16(p[0].Revents))
}

// transfer moves bytes through a socket (recvfrom and sendto are 2-4 % cheaper
// there than read and write) or another stream.
func transfer(r *Req, block bool) int32 {
	p, n := r.Rest()
	out := r.Code.Info().Write
	if !r.Handle.s.Kind.IsSocket() {
		trap := uintptr(unix.SYS_READ)
		if out {
			trap = unix.SYS_WRITE
		}
		return call(block, trap, r.fd(), uintptr(p), uintptr(n), 0, 0, 0)
	}
	if out {
		flags := uintptr(unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT)
		if r.Code == Send && r.Flags&Corked != 0 {
			flags |= unix.MSG_MORE
		}
		return call(block, unix.SYS_SENDTO, r.fd(), uintptr(p), uintptr(n), flags, 0, 0)
	}
	return call(block, unix.SYS_RECVFROM, r.fd(), uintptr(p), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
}

func transferVector(r *Req, s *Scratch, block bool) int32 {
	defer s.Clear()
	out := r.Code.Info().Write
	if !r.Handle.s.Kind.IsSocket() {
		trap := uintptr(unix.SYS_READV)
		if out {
			trap = unix.SYS_WRITEV
		}
		v := s.Vector(r)
		return call(block, trap, r.fd(), uintptr(unsafe.Pointer(unsafe.SliceData(v))), uintptr(len(v)), 0, 0, 0)
	}
	m := uintptr(unsafe.Pointer(s.Message(r)))
	if out {
		return call(block, unix.SYS_SENDMSG, r.fd(), m, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0, 0)
	}
	return call(block, unix.SYS_RECVMSG, r.fd(), m, unix.MSG_DONTWAIT, 0, 0, 0)
}

func transferMessage(r *Req, s *Scratch, block bool) int32 {
	var h uintptr
	if r.Code == Send {
		defer s.Clear()
		h = uintptr(unsafe.Pointer(s.Header(r)))
	} else {
		h = uintptr(unsafe.Pointer(r.Header()))
	}
	if r.Code.Info().Write {
		return call(block, unix.SYS_SENDMSG, r.fd(), h, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0, 0)
	}
	return call(block, unix.SYS_RECVMSG, r.fd(), h, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC, 0, 0, 0)
}

// ReadCached is ReadAt or ReadvAt of what the page cache holds (preadv2 with
// RWF_NOWAIT, Linux 4.14): EAGAIN if the disk is needed, EOPNOTSUPP where the
// file system can't tell.
func ReadCached(o *Op, s *Scratch) int32 {
	n := fileIO(&o.req, s, false, unix.RWF_NOWAIT)
	runtime.KeepAlive(o)
	return n
}

// OpenCached is OpenAt2 of a name that the kernel has in its cache (RESOLVE_CACHED, Linux
// 5.12): EAGAIN if the disk is needed to find it. Before 5.12 the answer is EINVAL. It is
// only right with O_NONBLOCK: without, a FIFO would be waited for.
func OpenCached(o *Op) int32 {
	const resolveCached = 0x20
	a := o.req.Args()
	before := a.How.Resolve
	a.How.Resolve |= resolveCached
	// Not hidden from the scheduler: a file system or a watcher of files (man 7 fanotify)
	// can have its own ideas of an open.
	n := names(&o.req, true)
	a.How.Resolve = before
	runtime.KeepAlive(o)
	return n
}

// fileIO is preadv2 or pwritev2 at the request's offset; it takes single buffers
// too, so that there is one way through.
func fileIO(r *Req, s *Scratch, block bool, flags uintptr) int32 {
	defer s.Clear()
	if r.Code.Info().Vector {
		s.Vector(r)
	} else {
		p, n := r.Rest()
		v := unix.Iovec{Base: (*byte)(p)}
		v.SetLen(n)
		s.iov = append(s.iov[:0], v)
	}
	trap := uintptr(unix.SYS_PREADV2)
	if r.Code.Info().Write {
		trap = unix.SYS_PWRITEV2
	}
	off := r.RestOff()
	// The kernel takes the offset as two longs; on 64 bits the second is unused.
	return call(block, trap, r.fd(), uintptr(unsafe.Pointer(unsafe.SliceData(s.iov))), uintptr(len(s.iov)), uintptr(off), uintptr(uint64(off)>>32), flags)
}

// call makes the system call and returns its result or negative errno. The
// memory that the arguments name is on the heap and reachable from the request.
func call(block bool, trap, a, b, c, d, e, f uintptr) int32 {
	var n uintptr
	var errno syscall.Errno
	if block {
		n, _, errno = syscall.Syscall6(trap, a, b, c, d, e, f)
	} else {
		n, _, errno = syscall.RawSyscall6(trap, a, b, c, d, e, f)
	}
	if errno != 0 {
		return -int32(errno)
	}
	return int32(n)
}

// CloseFD closes a descriptor that nobody will take. It doesn't retry: on Linux
// the number is free even after EINTR (man 2 close).
func CloseFD(fd int) { call(true, unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0) }
