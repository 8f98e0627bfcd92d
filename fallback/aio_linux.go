package fallback

import (
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// aio is Linux's older asynchronous I/O, io_submit(2), which containers that forbid
// io_uring allow. What it begins with O_DIRECT the disk does on its own, and no thread
// waits for that; without O_DIRECT it would do all in the submission, and isn't used.
//
// RWF_NOWAIT has the kernel refuse most of what would make the loop wait: a write that makes
// the file longer, pages of it in the cache, a full queue of the disk. (Ext4 still reads the
// blocks that say where the data is, if they aren't in memory, as for a ring.) That and all
// that doesn't work this way goes to the workers, as it would without.
type aio struct {
	ring  *aioRing // nil: not needed yet, or refused
	off   bool     // isn't to be tried, or not again
	batch []iocb   // gathered for the next submission
	order []*iocb
	ops   []*op.Op // that are gathered or in flight, by the data of their iocb
	free  []uint32 // the other places among them
}

const (
	// aioMax is how many are in flight at most, the others are the workers'. All processes
	// together have fs.aio-max-nr (65536).
	aioMax = 256
	// aioBatch is how many are submitted at once; each takes some us.
	aioBatch = 32
)

// From linux/aio_abi.h.
const (
	iocbRead      = 0
	iocbWrite     = 1
	iocbReadv     = 7
	iocbWritev    = 8
	iocbFlagResFD = 1
)

// iocb is struct iocb. Its rwFlags are aio_key and aio_rw_flags, which are ordered so that
// the flags are the upper half on all machines.
type iocb struct {
	data    uint64
	rwFlags uint64
	opcode  uint16
	_       int16 // aio_reqprio
	fd      uint32
	buf     uint64
	n       uint64
	off     int64
	_       uint64
	flags   uint32
	resFD   uint32
}

// ioEvent is struct io_event.
type ioEvent struct {
	data uint64
	_    uint64
	ret  int64
	_    int64
}

// aioRing is struct aio_ring, which the kernel maps at the address that is the name of the
// context, and then come the events. Who finds the magic number there may take them
// without a system call, as libaio does.
type aioRing struct {
	_        uint32
	size     uint32
	head     uint32 // ours
	tail     uint32 // the kernel's
	magic    uint32
	_        uint32
	incompat uint32
	header   uint32 // bytes in front of the events
}

const aioMagic = 0xa10a10a1

// open makes the context, once. While fs.aio-max-nr is used up there is none (EAGAIN).
func (a *aio) open() bool {
	if a.ring != nil || a.off {
		return a.ring != nil
	}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, aioMax, uintptr(unsafe.Pointer(&a.ring)), 0); errno != 0 {
		a.ring, a.off = nil, errno != unix.EAGAIN && errno != unix.ENOMEM
		return false
	}
	if a.ring.magic != aioMagic || a.ring.incompat != 0 {
		a.close()
		a.off = true
		return false
	}
	a.batch, a.order = make([]iocb, 0, aioBatch), make([]*iocb, aioBatch)
	for i := range a.order {
		a.order[i] = &a.batch[:aioBatch][i]
	}
	a.ops, a.free = make([]*op.Op, aioMax), make([]uint32, aioMax)
	for i := range a.free {
		a.free[i] = uint32(aioMax - 1 - i)
	}
	return true
}

// close ends the context. It waits for the kernel's grace period, some ms.
func (a *aio) close() {
	if a.ring != nil {
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, uintptr(unsafe.Pointer(a.ring)), 0, 0)
		a.ring = nil
	}
}

// take returns the operation whose iocb has the data, which is not in flight any more.
func (a *aio) take(data uint64) *op.Op {
	o := a.ops[data]
	a.ops[data] = nil
	a.free = append(a.free, uint32(data))
	return o
}

// direct gathers a read or write with O_DIRECT for the next submission. It reports false if
// that has to be a worker's.
func (e *Engine) direct(o *op.Op) bool {
	r, a := o.Req(), &e.aio
	if !r.Code.Info().At || r.Handle.State().Kind != op.Direct || r.Handle.State().Bits&op.NoWait != 0 {
		return false
	}
	flags := uint32(0)
	if r.Code == op.Preadv2 || r.Code == op.Pwritev2 {
		flags = r.Args().Flags
	}
	if flags&^(unix.RWF_DSYNC|unix.RWF_SYNC) != 0 || r.RestOff() > math.MaxInt64-op.MaxBytes || !a.open() || len(a.free) == 0 {
		return false
	}
	cb := iocb{opcode: iocbRead, fd: uint32(r.Handle.State().FD), off: r.RestOff(), flags: iocbFlagResFD, resFD: uint32(e.waker.FD())}
	cb.rwFlags = uint64(flags|unix.RWF_NOWAIT) << 32
	if r.Code.Info().Write {
		cb.opcode = iocbWrite
	}
	vector := false
	if r.Code.Info().Vector {
		v := e.scratch.Vector(r)
		if len(v) == 0 {
			return false
		}
		if vector = len(v) > 1; vector {
			cb.opcode += iocbReadv - iocbRead
			cb.buf, cb.n = uint64(uintptr(unsafe.Pointer(&v[0]))), uint64(len(v))
		} else {
			cb.buf, cb.n = uint64(uintptr(unsafe.Pointer(v[0].Base))), uint64(v[0].Len)
		}
	} else {
		p, n := r.Rest()
		cb.buf, cb.n = uint64(uintptr(p)), uint64(n)
	}
	last := len(a.free) - 1
	cb.data = uint64(a.free[last])
	a.free = a.free[:last]
	a.ops[cb.data] = o
	if a.batch = append(a.batch, cb); vector || len(a.batch) == aioBatch {
		e.submitDirect() // the vector is in the scratch
	}
	return true
}

// submitDirect submits what was gathered.
func (e *Engine) submitDirect() {
	a := &e.aio
	if len(a.batch) == 0 {
		return
	}
	for i := 0; i < len(a.batch); {
		e.counters.Enters++
		n, _, errno := syscall.Syscall(unix.SYS_IO_SUBMIT, uintptr(unsafe.Pointer(a.ring)), uintptr(len(a.batch)-i), uintptr(unsafe.Pointer(&a.order[i])))
		if errno == 0 && n > 0 {
			i += int(n)
			continue
		}
		o := a.take(a.batch[i].data) // the first of them is refused
		if errno != unix.EAGAIN && errno != unix.EBADF {
			o.Req().Handle.State().Bits |= op.NoWait // the file system can't, or the kernel
		}
		e.again(o)
		i++
	}
	a.batch = a.batch[:0]
	e.scratch.Clear()
}

// collectDirect takes up what the disk has done. The memory of it was kept by the
// operation.
func (e *Engine) collectDirect() {
	a := &e.aio
	if a.ring == nil {
		return
	}
	events := unsafe.Add(unsafe.Pointer(a.ring), a.ring.header)
	for head := a.ring.head; head != atomic.LoadUint32(&a.ring.tail); {
		ev := *(*ioEvent)(unsafe.Add(events, uintptr(head)*unsafe.Sizeof(ioEvent{})))
		if head++; head == a.ring.size {
			head = 0
		}
		atomic.StoreUint32(&a.ring.head, head)
		o, ret := a.take(ev.data), int32(ev.ret)
		switch ret {
		case -int32(unix.EOPNOTSUPP):
			o.Req().Handle.State().Bits |= op.NoWait
			e.again(o)
		case op.EAGAIN, -int32(unix.EINTR):
			e.again(o)
		default:
			e.finish(o, ret)
		}
	}
}

// cancelDirect takes back what was only gathered.
func (e *Engine) cancelDirect(o *op.Op) {
	a := &e.aio
	for i := range a.batch {
		if data := a.batch[i].data; a.ops[data] == o {
			a.batch = append(a.batch[:i], a.batch[i+1:]...)
			e.finish(a.take(data), -int32(unix.ECANCELED))
			return
		}
	}
}

// again gives the workers what the kernel has refused, unless it was asked to end meanwhile.
func (e *Engine) again(o *op.Op) {
	if o.Req().Why != op.NotAsked {
		e.finish(o, -int32(unix.ECANCELED))
		return
	}
	e.delegate(o)
}

// delegate gives an operation to the workers.
func (e *Engine) delegate(o *op.Op) {
	e.counters.Jobs++
	e.workers.Start(o)
}
