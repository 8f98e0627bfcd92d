package op

import (
	"sync"
	"unsafe"
)

// Pipe is a pipe of the kernel's, used as memory: splice(2) moves what a descriptor
// has into it and what it has to a descriptor, without a copy through the program.
// As other memory it is the caller's, and from Submit until the final callback the
// loop's. It is no handle: nobody waits for it.
type Pipe struct {
	r, w int32
	n    int
	size int
}

// Len returns how many bytes the pipe holds.
func (p *Pipe) Len() int { return p.n }

// Size returns how many bytes it has room for, in whole pages: small pieces that
// aren't a page each fill it sooner.
func (p *Pipe) Size() int { return p.size }

// Pipes are pipes that nobody uses. Any goroutine may call its methods: where a
// descriptor has no readiness, a worker takes the pipe.
type Pipes struct {
	Size   int // of each, in bytes
	mu     sync.Mutex
	free   []*Pipe
	closed bool
}

// maxIdlePipes is how many pipes are kept for the next user.
const maxIdlePipes = 64

// Put gives a pipe back. One that isn't empty is closed, and each after Close.
func (s *Pipes) Put(p *Pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.n > 0 || s.closed || len(s.free) >= maxIdlePipes {
		p.Close()
		return
	}
	s.free = append(s.free, p)
}

// Close closes the pipes.
func (s *Pipes) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.free {
		p.Close()
	}
	s.free, s.closed = nil, true
}

// idle returns a pipe of those there are, nil if there is none.
func (s *Pipes) idle() *Pipe {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.free) - 1
	if last < 0 {
		return nil
	}
	p := s.free[last]
	s.free[last], s.free = nil, s.free[:last]
	return p
}

// ToTheEnd as a count means: up to the end of the file.
const ToTheEnd = -1

// SendFile prepares sendfile(2) of n bytes of a file from the offset on, or with n
// ToTheEnd of all there is; the file needs no room in the program's memory. The
// result is the number of bytes sent; if the file ends before n, it comes with
// io.EOF, and what is queued behind fails with ErrTorn. What isn't in the page cache
// a worker reads first. EINVAL: the source is no regular file, or was opened with
// O_DIRECT.
func (o *Op) SendFile(t Target, file Target, off int64, n int) *Op {
	o.mustBeIdle()
	var a *Args
	if o.req.Code == SendFile { // again: the Args of the last time are nobody's now
		a = o.req.Args()
	} else {
		a = new(Args)
	}
	*a = Args{Dir2: handleOf(file)}
	if n == ToTheEnd {
		n, a.Mode = int(^uint(0)>>1), 1
	}
	r := o.prepare(SendFile, t)
	r.Ptr, r.N = unsafe.Pointer(a), n
	r.setOffset(off)
	if n < 0 {
		r.Flags |= Invalid
	}
	return o
}

// SpliceIn prepares splice(2) of at most n bytes from a stream, or from a file at the
// offset, into a pipe: at least one byte, io.EOF at the end, or an error. ENOBUFS:
// there is data, but no room.
func (o *Op) SpliceIn(t Target, off int64, p *Pipe, n int) *Op {
	return o.splice(SpliceIn, t, off, p, nil, n)
}

// SpliceInto is SpliceIn into a pipe that is taken from s when there is data, and
// only then: Op.Pipe. The callback that gets one gives it back.
func (o *Op) SpliceInto(t Target, s *Pipes, n int) *Op {
	return o.splice(SpliceIn, t, 0, nil, s, n)
}

// SpliceOut prepares splice(2) of n bytes, which the pipe holds, to a stream, or to a
// file at the offset. It completes, as a send, when all have moved.
func (o *Op) SpliceOut(t Target, off int64, p *Pipe, n int) *Op {
	o.splice(SpliceOut, t, off, p, nil, n)
	if n > p.n {
		o.req.Flags |= Invalid
	}
	return o
}

func (o *Op) splice(c Code, t Target, off int64, p *Pipe, s *Pipes, n int) *Op {
	o.mustBeIdle()
	var a *Args
	if o.req.Code == SpliceIn || o.req.Code == SpliceOut { // the memory of its last use
		a = o.req.Args()
	} else {
		a = new(Args)
	}
	*a = Args{Pipe: p, Pipes: s}
	r := o.prepare(c, t)
	r.Ptr, r.N = unsafe.Pointer(a), n
	r.setOffset(off)
	if n < 0 || a.Pipe == nil && a.Pipes == nil {
		r.Flags |= Invalid
	}
	return o
}

// Pipe returns the pipe of a splice, or the one that a tee copies into: nil if there is
// none.
func (o *Op) Pipe() *Pipe {
	switch o.req.Code {
	case SpliceIn, SpliceOut, Tee:
		return o.req.Args().Pipe
	}
	return nil
}

// Tee prepares tee(2): at most n bytes of what src holds are in dst, too, after that.
// It waits for nothing. ENOBUFS: dst has no room.
func (o *Op) Tee(dst, src *Pipe, n int) *Op {
	r := o.prepare(Tee, nil)
	r.Ptr, r.N = unsafe.Pointer(&Args{Pipe: dst, Pipe2: src}), n
	if n < 0 || dst == nil || src == nil {
		r.Flags |= Invalid
	}
	return o
}

// SendZeroCopy is Send of memory that the network card reads by itself
// (io_uring_prep_send_zc(3)). It completes when the kernel needs the memory no more,
// which for TCP is when the peer has acknowledged the data: sends behind it go out
// meanwhile, and can complete before it. A close whose linger time is over by then
// resets the connection. Less than WithZeroCopyFrom bytes, and where
// the kernel or the socket can't, it is an ordinary send. Op.Copied tells.
func (o *Op) SendZeroCopy(t Target, b []byte) *Op { return o.bytes(SendZC, t, b, 0) }

// Copied reports, after a SendZeroCopy, whether the kernel has copied the data after
// all: an ordinary send does, and so does a zero-copy send to this machine. Linux
// tells since 6.3 (6.2 with patches): before, the answer is always true.
func (o *Op) Copied() bool { return o.req.Off&ZeroCopied == 0 }

// Bits of Req.Off of a SendZC.
const (
	// PlainSend: it goes as an ordinary send.
	PlainSend = 1 << iota
	// ZeroCopied: the kernel has said that it copied nothing.
	ZeroCopied
	// Partial: not all has gone, and the notification of that is awaited.
	Partial
	// Aborted: its handle is aborted, so nobody waits for the peer any more.
	Aborted
)

// OnFile reports whether a splice is from or to a file: a disk answers, not a peer.
func (r *Req) OnFile() bool {
	return (r.Code == SpliceIn || r.Code == SpliceOut) && r.Handle.s.Kind.IsFile()
}

// Away reports whether a worker warms the page cache for a SendFile.
func (r *Req) Away() bool { return r.Code == SendFile && r.Args().away }

// AtEOF is what a SendFile comes to at the end of its file.
func (r *Req) AtEOF() int32 {
	if r.Args().Mode != 0 {
		return 0 // that was its aim
	}
	return int32(EOF)
}
