package ring

import (
	"math/bits"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// opcodes has the opcode of each operation, -1 where the ring has no part in it.
var opcodes = [op.NumCodes]int{
	op.None:      -1,
	op.Nop:       opNop,
	op.Accept:    opAccept,
	op.Connect:   opConnect,
	op.Recv:      opRecv,
	op.Recvv:     opRecvmsg,
	op.Send:      opSend,
	op.Sendv:     opSendmsg,
	op.Shutdown:  opShutdown,
	op.Close:     opClose,
	op.ReadAt:    opRead,
	op.ReadvAt:   opReadv,
	op.WriteAt:   opWrite,
	op.WritevAt:  opWritev,
	op.Fsync:     opFsync,
	op.Fdatasync: opFsync,
	op.OpenAt:    opOpenat,
	op.Poll:      opPollAdd,
	op.Timeout:   -1,
	op.Cancel:    -1,

	op.AcceptEach: opAccept,
	op.RecvEach:   opRecv,

	op.RecvMsg:     opRecvmsg,
	op.SendMsg:     opSendmsg,
	op.RecvMsgEach: opRecvmsg,
	op.SendMsgs:    -1,

	op.StatxAt:       opStatx,
	op.OpenAt2:       opOpenat2,
	op.UnlinkAt:      opUnlinkat,
	op.RenameAt:      opRenameat,
	op.MkdirAt:       opMkdirat,
	op.LinkAt:        opLinkat,
	op.SymlinkAt:     opSymlinkat,
	op.Ftruncate:     opFtruncate,
	op.Fallocate:     opFallocate,
	op.Fadvise:       opFadvise,
	op.SyncFileRange: opSyncFileRange,
	op.Work:          -1,
	op.SendFile:      -1,
	op.SpliceIn:      -1,
	op.SpliceOut:     -1,
	op.Tee:           -1,
	op.SendZC:        opSendZC,
	op.Madvise:       opMadvise,
	op.Getxattr:      opGetxattr,
	op.Setxattr:      opSetxattr,
	op.Listxattr:     -1,
	op.Removexattr:   -1,
	op.Preadv2:       opReadv,
	op.Pwritev2:      opWritev,
	op.Getdents:      -1,
	op.CopyFileRange: -1,

	op.WaitID:    opWaitid,
	op.FutexWait: opFutexWait,
	op.FutexWake: opFutexWake,
}

// here is the file offset that means the descriptor's own position.
const here = ^uint64(0)

// encode writes all of the entry for the slot's operation: nothing of the
// entry's last use is left.
//
// The addresses in it are of Go memory, which doesn't move, except for stacks:
// all of it is reachable from the Op or the slot, hence on the heap, and stays
// reachable until the completion.
func (e *Engine) encode(q *sqe, s *slot, ud uint64) {
	r := s.o.Req()
	*q = sqe{opcode: uint8(opcodes[r.Code]), userData: ud}
	if r.Handle != nil {
		q.fd = r.Handle.State().FD
	}
	switch r.Code {
	case op.Recv, op.Send, op.SendZC, op.ReadAt, op.WriteAt:
		if r.Code == op.Send && r.Off > 1 { // several sends leave together
			q.opcode = opSendmsg
			e.encodeVector(q, s, r)
			break
		}
		if r.Addressed() {
			q.opcode = opSendmsg
			q.addr, q.len = address(unsafe.Pointer(e.slots.scratch(s).Header(r))), 1
			break
		}
		p, n := r.Rest()
		q.addr, q.len = address(p), uint32(n)
	case op.Recvv, op.Sendv, op.ReadvAt, op.WritevAt, op.Preadv2, op.Pwritev2:
		e.encodeVector(q, s, r)
	case op.RecvMsg, op.SendMsg:
		q.addr, q.len = address(unsafe.Pointer(r.Header())), 1
	}
	switch r.Code {
	case op.Accept:
		q.opFlags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	case op.AcceptEach:
		q.opFlags, q.ioprio = unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, acceptMulti
	case op.RecvEach:
		e.encodeRecvEach(q, r)
	case op.RecvMsgEach:
		e.encodeRecvMsgEach(q, s, r)
	case op.Connect:
		p, n := (*op.Sockaddr)(r.Ptr).Raw()
		q.addr, q.off = address(p), uint64(n)
	case op.Recv, op.Recvv, op.Send, op.Sendv, op.RecvMsg, op.SendMsg, op.SendZC:
		e.encodeStream(q, r)
	case op.Shutdown:
		q.len = uint32(r.Off)
	case op.ReadAt, op.ReadvAt, op.WriteAt, op.WritevAt:
		q.off = uint64(r.RestOff())
		if e.memory.n > 0 && (r.Code == op.ReadAt || r.Code == op.WriteAt) {
			e.memory.fixed(q, r.Code)
		}
	case op.Preadv2, op.Pwritev2:
		q.off, q.opFlags = uint64(r.RestOff()), r.Args().Flags
	case op.Fdatasync:
		q.opFlags = fsyncData
	case op.OpenAt:
		flags, mode := r.OpenHow()
		q.fd, q.addr, q.len = r.DirFD(), address(r.Ptr), mode
		q.opFlags = flags | unix.O_CLOEXEC | unix.O_LARGEFILE
	case op.Poll:
		q.opFlags = pollMask(readiness(r))
	case op.StatxAt, op.OpenAt2, op.UnlinkAt, op.RenameAt, op.MkdirAt, op.LinkAt, op.SymlinkAt:
		encodeNames(q, r)
	case op.Ftruncate, op.Fallocate, op.Fadvise, op.SyncFileRange:
		encodeRange(q, r)
	case op.Madvise:
		q.fd, q.addr, q.len, q.opFlags = -1, address(r.Ptr), uint32(r.N), uint32(r.Off)
	case op.Getxattr, op.Setxattr:
		encodeAttribute(q, r)
	case op.FutexWait, op.FutexWake:
		q.fd, q.addr, q.off, q.addr3 = futexWord, address(r.Ptr), uint64(r.Off), futexAny
	case op.WaitID:
		q.len, q.off, q.file = unix.P_PIDFD, address(r.Exit().Info()), r.WaitOptions()
	}
}

// encodeNames encodes an operation on names in directories.
func encodeNames(q *sqe, r *op.Req) {
	a := r.Args()
	q.fd, q.addr, q.opFlags = r.DirFD(), address(unsafe.Pointer(a.Path)), a.Flags
	switch r.Code {
	case op.StatxAt:
		q.len, q.off = a.Mode, address(unsafe.Pointer(a.Stat))
	case op.OpenAt2:
		q.len, q.off = uint32(unsafe.Sizeof(a.How)), address(unsafe.Pointer(&a.How))
	case op.MkdirAt:
		q.len = a.Mode
	case op.RenameAt, op.LinkAt:
		q.len, q.off = uint32(a.Dir2FD()), address(unsafe.Pointer(a.Path2))
	case op.SymlinkAt:
		q.off = address(unsafe.Pointer(a.Path2))
	}
}

// encodeAttribute encodes an operation on an extended attribute of a path or of a
// handle.
func encodeAttribute(q *sqe, r *op.Req) {
	a := r.Args()
	q.addr, q.off = address(unsafe.Pointer(a.Path2)), address(unsafe.Pointer(unsafe.SliceData(a.Value)))
	q.len, q.opFlags = uint32(min(len(a.Value), op.MaxBytes)), a.Flags
	switch {
	case r.Handle == nil:
		q.addr3 = address(unsafe.Pointer(a.Path))
	case r.Code == op.Getxattr:
		q.opcode = opFgetxattr
	default:
		q.opcode = opFsetxattr
	}
}

// encodeRange encodes an operation on a part of a file.
func encodeRange(q *sqe, r *op.Req) {
	a := r.Args()
	q.off = uint64(a.Offset)
	switch r.Code {
	case op.Ftruncate:
		q.off = uint64(a.Len)
	case op.Fallocate:
		q.addr, q.len = uint64(a.Len), a.Mode
	case op.Fadvise:
		q.len, q.opFlags = uint32(a.Len), a.Mode
	case op.SyncFileRange:
		q.len, q.opFlags = uint32(a.Len), a.Flags
	}
}

// encodeRecvEach receives into a buffer of the ring. It is multishot on TCP and
// the like; on unix sockets that would miss the end of the stream (seen on
// 6.18; axboe/liburing#1549), and pipes are read.
func (e *Engine) encodeRecvEach(q *sqe, r *op.Req) {
	h := r.Handle.State()
	q.flags, q.bufIndex = bufSelect, bufGroup
	if !h.Kind.IsSocket() {
		q.opcode, q.off, q.len = opRead, here, uint32(e.pool.Size())
		return
	}
	if !h.Unix {
		q.ioprio = recvMulti
	}
	if h.Bits&op.Dry != 0 || e.bufs.in == 0 {
		q.ioprio |= pollFirst // a try without a buffer is ENOBUFS, with data or without
	}
}

// encodeRecvMsgEach receives a message into a buffer of the ring, with what belongs
// to it in front of it. Where it can't be multishot the kernel doesn't write that,
// so it goes to the slot's extension first.
func (e *Engine) encodeRecvMsgEach(q *sqe, s *slot, r *op.Req) {
	q.flags, q.bufIndex = bufSelect, bufGroup
	q.opFlags = unix.MSG_CMSG_CLOEXEC
	x, room := e.slots.scratch(s), r.MessageRoom()
	if multishot(r) {
		q.ioprio = recvMulti
		q.addr, q.len = address(unsafe.Pointer(x.RecvHeader(room))), 1
	} else {
		q.addr, q.len = address(unsafe.Pointer(x.RecvOne(room, e.pool.Size()))), 1
	}
	if r.Handle.State().Bits&op.Dry != 0 || e.bufs.in == 0 {
		q.ioprio |= pollFirst
	}
}

// multishot reports whether a RecvMsgEach is, which needs messages that can't end:
// the end of a connection would be an empty one.
func multishot(r *op.Req) bool {
	h := r.Handle.State()
	return h.Kind == op.Packet && !h.Unix
}

// encodeVector points to the buffers: as a message for sockets, else as a bare
// vector. Both are in the slot's extension.
func (e *Engine) encodeVector(q *sqe, s *slot, r *op.Req) {
	x := e.slots.scratch(s)
	if r.Handle.State().Kind.IsSocket() && r.Code.Info().Line != op.NoLine {
		q.addr, q.len = address(unsafe.Pointer(x.Message(r))), 1
		return
	}
	v := x.Vector(r)
	q.addr, q.len = address(unsafe.Pointer(unsafe.SliceData(v))), uint32(len(v))
}

// streamOpcodes are what sockets' opcodes become on pipes and terminals.
var streamOpcodes = [op.NumCodes]uint8{op.Recv: opRead, op.Recvv: opReadv, op.Send: opWrite, op.Sendv: opWritev, op.SendZC: opWrite}

func (e *Engine) encodeStream(q *sqe, r *op.Req) {
	h := r.Handle.State()
	switch {
	case !h.Kind.IsSocket():
		q.opcode, q.off = streamOpcodes[r.Code], here
	case h.Kind.HasBounds() && r.Code.Info().Write:
		// A ring that waits by itself goes on behind what it has copied, when there is
		// room: the message would be cut, or empty (seen on 6.18, on unix sockets).
		q.opFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT
	case r.Code.Info().Write:
		q.opFlags = unix.MSG_NOSIGNAL | e.sendWhole
		if r.Code == op.Send && r.Flags&op.Corked != 0 {
			q.opFlags |= unix.MSG_MORE
		}
		if r.Code == op.SendZC {
			e.encodeZeroCopy(q, r)
		}
	default:
		q.opFlags = unix.MSG_NOSIGNAL
		if r.Code == op.RecvMsg {
			q.opFlags |= unix.MSG_CMSG_CLOEXEC
		}
		if h.Bits&op.Dry != 0 && e.canPollFirst {
			q.ioprio = pollFirst // the last receive emptied it: don't try in vain
		}
	}
}

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// pollMask is poll32_events, whose halves are swapped on big-endian machines.
func pollMask(events uint32) uint32 {
	if bigEndian {
		return bits.RotateLeft32(events, 16)
	}
	return events
}

var bigEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 0
}()
