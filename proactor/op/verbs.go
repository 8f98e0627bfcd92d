package op

import (
	"syscall"
	"time"
	"unsafe"
)

// Target is what an operation works on: a *Handle, or one of the handles that
// wrap it (*proactor.Conn, *proactor.Listener, *proactor.File).
type Target interface{ target() *Handle }

func (o *Op) mustBeIdle() {
	if o.req.state.Load()&busy != 0 {
		panic("proactor: an Op in flight (" + o.req.Code.String() + ") was prepared anew")
	}
}

// prepare resets all of the request but its generation.
func (o *Op) prepare(c Code, t Target) *Req {
	o.mustBeIdle()
	r := &o.req
	r.Code, r.Flags, r.Why, r.Phase = c, 0, 0, 0
	r.Ptr, r.N, r.Off, r.Moved, r.When, r.Ret = nil, 0, 0, 0, 0, 0
	r.Handle, r.Buf = nil, nil
	if t != nil {
		r.Handle = t.target()
	}
	return r
}

func (o *Op) bytes(c Code, t Target, b []byte, off int64) *Op {
	r := o.prepare(c, t)
	r.Ptr, r.N = unsafe.Pointer(unsafe.SliceData(b)), len(b)
	r.setOffset(off)
	return o
}

func (o *Op) vector(c Code, t Target, v [][]byte, off int64) *Op {
	r := o.prepare(c, t)
	r.Ptr, r.N = unsafe.Pointer(unsafe.SliceData(v)), len(v)
	r.setOffset(off)
	return o
}

// setOffset refuses negative offsets: -1 would mean the file's own position.
func (r *Req) setOffset(off int64) {
	r.Off = off
	if off < 0 {
		r.Flags |= Invalid
	}
}

// Nop prepares an operation that does nothing but travel to the engine and back.
func (o *Op) Nop() *Op {
	o.prepare(Nop, nil)
	return o
}

// Accept prepares accept4(2) on a listening socket. The result is the new
// descriptor (close-on-exec, non-blocking); it is the callback's to register.
func (o *Op) Accept(t Target) *Op {
	o.prepare(Accept, t)
	return o
}

// Connect prepares connect(2). The address is read until the final callback.
func (o *Op) Connect(t Target, to *Sockaddr) *Op {
	if to == nil {
		panic("proactor: connect to no address")
	}
	o.prepare(Connect, t).Ptr = unsafe.Pointer(to)
	return o
}

// AcceptEach prepares accept4(2) of one connection after the other: a callback
// for each, marked More, until the operation ends by Cancel, Close or an error.
func (o *Op) AcceptEach(t Target) *Op {
	o.prepare(AcceptEach, t)
	return o
}

// RecvEach prepares recv(2) of one piece after the other, each in a Buffer from
// the loop's pool: a callback for each, marked More, until the end of the stream
// (io.EOF), Cancel, Close or an error. While it waits it holds no Buffer. When
// the pool is empty it pauses, and goes on when Buffers come back. SetDeadline is
// for the whole, SetTimeout the longest time between two pieces.
func (o *Op) RecvEach(t Target) *Op {
	o.prepare(RecvEach, t)
	return o
}

// Recv prepares recv(2) into b: at least one byte, io.EOF at the end of the
// stream, or an error. An empty b completes with 0, nil in its turn.
func (o *Op) Recv(t Target, b []byte) *Op { return o.bytes(Recv, t, b, 0) }

// Recvv is Recv into several buffers, filled in order: recvmsg(2). At most 1024
// of them are filled. The slice of slices belongs to the loop as the buffers do.
func (o *Op) Recvv(t Target, v [][]byte) *Op { return o.vector(Recvv, t, v, 0) }

// RecvMsg prepares recvmsg(2) of one message into m: its data, its sender and its
// control messages. The result is the number of bytes of data. On a stream it is
// Recv with control messages.
func (o *Op) RecvMsg(t Target, m *Message) *Op {
	r := o.prepare(RecvMsg, t)
	r.Ptr, r.N = unsafe.Pointer(m), len(m.Data)
	m.Peer.n, m.Control, m.Flags, m.rights = 0, m.Control[:0], 0, nil
	return o
}

// RecvMsgEach is RecvEach with what recvmsg(2) tells of each message: its sender
// (Buffer.From) and at most control bytes of control messages (Buffer.Control).
// A message that is longer than a Buffer is cut: Buffer.Truncated. EINVAL: there
// is no room for data behind those in a Buffer of the loop's.
func (o *Op) RecvMsgEach(t Target, control int) *Op {
	r := o.prepare(RecvMsgEach, t)
	r.N = control
	if control < 0 || control > MaxControl {
		r.Flags |= Invalid
	}
	return o
}

// SendMsg prepares sendmsg(2) of m: as one message, or on a stream, as Send does,
// all of it.
func (o *Op) SendMsg(t Target, m *Message) *Op {
	r := o.prepare(SendMsg, t)
	r.Ptr, r.N = unsafe.Pointer(m), len(m.Data)
	return o
}

// SendMsgs prepares sendmmsg(2) of all of v, in order, on a socket that keeps the
// bounds of messages. The result is how many messages were sent: fewer come with
// the error of the one behind them. The slice belongs to the loop as the messages
// do.
func (o *Op) SendMsgs(t Target, v []Message) *Op {
	r := o.prepare(SendMsgs, t)
	r.Ptr, r.N = unsafe.Pointer(unsafe.SliceData(v)), len(v)
	return o
}

// Send prepares send(2) of all of b. It completes when everything is sent, or
// with an error and the count so far (rule 5).
func (o *Op) Send(t Target, b []byte) *Op { return o.bytes(Send, t, b, 0) }

// SendBuffer is Send of what a Buffer holds. From Submit on the Buffer is the
// loop's, which releases it before the final callback. If Submit refuses it, it
// stays the caller's. On a socket that keeps the bounds of messages and isn't
// connected it goes to the Buffer's address, which is its sender's: Buffer.To.
func (o *Op) SendBuffer(t Target, b *Buffer) *Op {
	o.bytes(Send, t, b.Bytes(), 0)
	o.req.Buf = b
	return o
}

// Sendv is Send of several buffers, however many, in order: sendmsg(2). The
// slice of slices belongs to the loop as the buffers do.
func (o *Op) Sendv(t Target, v [][]byte) *Op { return o.vector(Sendv, t, v, 0) }

// Shutdown prepares shutdown(2): how is syscall.SHUT_RD, SHUT_WR or SHUT_RDWR.
// It takes its turn behind the sends submitted earlier.
func (o *Op) Shutdown(t Target, how int) *Op {
	o.prepare(Shutdown, t).Off = int64(how)
	return o
}

// Close prepares the orderly close of a handle (rule 7): what is queued to be
// sent is flushed for at most linger, receives and accepts end with
// net.ErrClosed, then the descriptor is closed. From Submit on the handle
// refuses other operations. A negative linger has no limit, one of 0 flushes nothing.
func (o *Op) Close(t Target, linger time.Duration) *Op {
	o.prepare(Close, t).Off = int64(linger)
	return o
}

// Abort prepares the close of a handle that cancels everything at once. It is
// the one operation that a closing handle still takes.
func (o *Op) Abort(t Target) *Op {
	o.prepare(Close, t).Flags = Abortive
	return o
}

// Detach prepares the orderly end of a handle without closing its descriptor: as
// with Close, sends are flushed (without a limit), receives end with
// net.ErrClosed, and later submissions are refused. The result is the descriptor,
// the callback's to register elsewhere or to close. An Abort that comes first
// closes it, and the result is net.ErrClosed.
func (o *Op) Detach(t Target) *Op {
	r := o.prepare(Close, t)
	r.Flags, r.Off = Detached, -1
	return o
}

// ifIdle, instead of the linger time of a Detach, marks one that may be refused.
const ifIdle = -2

// DetachIdle is Detach of a handle on which nothing is under way but multishot
// operations. Otherwise it ends with ErrPending, and the handle stays as it was. Until
// the loop has looked, other operations are still taken; those that come between end
// with net.ErrClosed if the handle is detached.
func (o *Op) DetachIdle(t Target) *Op {
	o.Detach(t).req.Off = ifIdle
	return o
}

// IfIdle reports whether r is a DetachIdle.
func (r *Req) IfIdle() bool { return r.Flags&Detached != 0 && r.Off == ifIdle }

// ReadAt prepares pread(2) of len(b) bytes at the offset. As with io.ReaderAt,
// a short count comes with an error: io.EOF at the end of the file.
func (o *Op) ReadAt(t Target, b []byte, off int64) *Op { return o.bytes(ReadAt, t, b, off) }

// ReadvAt is ReadAt into several buffers, filled in order: preadv(2).
func (o *Op) ReadvAt(t Target, v [][]byte, off int64) *Op { return o.vector(ReadvAt, t, v, off) }

// WriteAt prepares pwrite(2) of all of b at the offset.
func (o *Op) WriteAt(t Target, b []byte, off int64) *Op { return o.bytes(WriteAt, t, b, off) }

// WritevAt is WriteAt of several buffers, in order: pwritev(2).
func (o *Op) WritevAt(t Target, v [][]byte, off int64) *Op { return o.vector(WritevAt, t, v, off) }

// Fsync prepares fsync(2). It is not ordered after writes that are in flight.
func (o *Op) Fsync(t Target) *Op {
	o.prepare(Fsync, t)
	return o
}

// Fdatasync prepares fdatasync(2). It is not ordered after writes in flight.
func (o *Op) Fdatasync(t Target) *Op {
	o.prepare(Fdatasync, t)
	return o
}

// OpenAt prepares openat(2), with O_CLOEXEC added. A nil dir is the working
// directory. The result is the new descriptor, the callback's to register. Open a FIFO
// with O_NONBLOCK: without it a ring waits for the other end or doesn't, as the kernel
// finds the name in its cache or not.
func (o *Op) OpenAt(dir Target, path string, flags int, mode uint32) *Op {
	r := o.prepare(OpenAt, dir)
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		r.Flags |= Invalid // a NUL inside the path
	}
	r.Ptr = unsafe.Pointer(p)
	r.Off = int64(uint32(flags)) | int64(mode)<<32
	return o
}

// Poll prepares the wait for one readiness: events are poll(2)'s POLLIN,
// POLLOUT and so on, the result is the events that are ready. POLLERR,
// POLLHUP and POLLRDHUP (the peer has closed its side) are always watched for. It
// moves no data.
func (o *Op) Poll(t Target, events uint32) *Op {
	o.prepare(Poll, t).Off = int64(events)
	return o
}

// Work prepares a call of f on a worker. It completes without an error when f has
// returned, or has ended its goroutine.
func (o *Op) Work(f func()) *Op {
	o.prepare(Work, nil).Ptr = unsafe.Pointer(&f)
	return o
}

// Timeout prepares a timer: it completes without an error d after Submit.
func (o *Op) Timeout(d time.Duration) *Op {
	o.prepare(Timeout, nil).Off = max(int64(d), 0)
	return o
}

// Cancel prepares the request to end one submission (rule 6). Its own result
// is nil if the submission was still under way, else ErrNotFound.
func (o *Op) Cancel(t Ticket) *Op {
	r := o.prepare(Cancel, nil)
	r.Ptr, r.Off = unsafe.Pointer(t.o), int64(t.gen)
	return o
}

// CancelTarget returns the ticket that a cancel names.
func (r *Req) CancelTarget() Ticket { return Ticket{(*Op)(r.Ptr), uint64(r.Off)} }

// Slices returns the buffers of a vectored request.
func (r *Req) Slices() [][]byte {
	if r.flagged() {
		return r.Args().Vec
	}
	return unsafe.Slice((*[]byte)(r.Ptr), r.N)
}

// Total returns how many bytes the request names.
func (r *Req) Total() int {
	if !r.Code.Info().Vector {
		return r.N
	}
	n := 0
	for _, b := range r.Slices() {
		n += len(b)
	}
	return n
}

// MaxBytes is the most that one attempt asks for: as the kernel's MAX_RW_COUNT,
// it keeps the result in 32 bits.
const MaxBytes = 1<<31 - 4096

// Rest returns the bytes of a request that have not moved yet.
func (r *Req) Rest() (unsafe.Pointer, int) {
	return unsafe.Add(r.Ptr, r.Moved), min(r.N-r.Moved, MaxBytes)
}

// RestOff is the file offset of Rest.
func (r *Req) RestOff() int64 { return r.Off + int64(r.Moved) }

// OpenHow returns the flags and the mode of an openat.
func (r *Req) OpenHow() (flags, mode uint32) { return uint32(r.Off), uint32(r.Off >> 32) }
