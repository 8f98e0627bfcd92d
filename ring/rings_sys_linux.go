//go:build !giouring

package ring

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seamFlags are the set-up flags that this implementation can't do.
const seamFlags = 0

// rings are the two shared rings, mapped: the seam between the engine and the
// kernel's interface. The other implementation is rings_giouring_linux.go.
//
// The mapped memory is not Go's: the garbage collector neither sees nor moves
// it, so pointers into it are good until close.
type rings struct {
	features uint32
	sizes    sizes
	fd       int
	enterFD  uintptr // fd, or its registered index
	enterReg uintptr // enterRegistered if so
	regIndex uint32

	sqHead, sqTail, sqFlags *uint32
	sqMask, sqSize          uint32
	tail                    uint32 // of what is prepared; *sqTail is what the kernel may see
	sqes                    unsafe.Pointer

	cqHead, cqTail *uint32
	cqMask         uint32
	cqes           unsafe.Pointer

	arg getEvents
	ts  timespec

	maps [][2]uintptr // address and length, to unmap
}

// setup makes and maps a ring. On an error nothing is left behind.
func (r *rings) setup(entries uint32, p *params) error {
	fd, err := sysSetup(entries, p)
	if err != nil {
		return err
	}
	*r = rings{fd: fd, enterFD: uintptr(fd)}
	if err := r.mapAll(p); err != nil {
		r.close()
		return err
	}
	return nil
}

func (r *rings) mapAll(p *params) error {
	sqLen := uintptr(p.sq.array) + uintptr(p.sqEntries)*4
	cqLen := uintptr(p.cq.cqes) + uintptr(p.cqEntries)*unsafe.Sizeof(cqe{})
	if p.features&featSingleMmap != 0 {
		sqLen = max(sqLen, cqLen)
	}
	sq, err := r.mmap(offSQRing, sqLen)
	if err != nil {
		return err
	}
	cq := sq
	if p.features&featSingleMmap == 0 {
		if cq, err = r.mmap(offCQRing, cqLen); err != nil {
			return err
		}
	}
	if r.sqes, err = r.mmap(offSQEs, uintptr(p.sqEntries)*unsafe.Sizeof(sqe{})); err != nil {
		return err
	}
	r.point(p, sq, cq)
	return nil
}

func (r *rings) mmap(off int64, n uintptr) (unsafe.Pointer, error) {
	p, err := unix.MmapPtr(r.fd, off, nil, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err == nil {
		r.maps = append(r.maps, [2]uintptr{uintptr(p), n})
	}
	return p, err
}

func (r *rings) point(p *params, sq, cq unsafe.Pointer) {
	at := func(base unsafe.Pointer, off uint32) *uint32 { return (*uint32)(unsafe.Add(base, off)) }
	r.sqHead, r.sqTail, r.sqFlags = at(sq, p.sq.head), at(sq, p.sq.tail), at(sq, p.sq.flags)
	r.sqMask, r.sqSize = *at(sq, p.sq.mask), p.sqEntries
	r.cqHead, r.cqTail, r.cqMask = at(cq, p.cq.head), at(cq, p.cq.tail), *at(cq, p.cq.mask)
	r.cqes = unsafe.Add(cq, p.cq.cqes)
	r.tail = atomic.LoadUint32(r.sqTail)
	if p.flags&setupNoSQArray == 0 { // entry i is in place i, once and for all
		for i := range p.sqEntries {
			*at(sq, p.sq.array+4*i) = i
		}
	}
}

// next returns the next free submission entry, nil if the queue is full. The
// caller overwrites all of it.
func (r *rings) next() *sqe {
	if r.tail-atomic.LoadUint32(r.sqHead) >= r.sqSize {
		return nil
	}
	s := (*sqe)(unsafe.Add(r.sqes, uintptr(r.tail&r.sqMask)*unsafe.Sizeof(sqe{})))
	r.tail++
	return s
}

// enterNow submits what is prepared and lets the kernel post completions,
// without waiting. The Go scheduler doesn't notice, which saves 45 ns.
func (r *rings) enterNow() error {
	n := r.publish()
	_, _, e := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, r.enterFD, uintptr(n), 0, enterGetEvents|r.enterReg, 0, 0)
	return enterError(e)
}

// enterSoon waits for so many completions, for ns at most, hidden from the Go
// scheduler. It reports whether there are any.
func (r *rings) enterSoon(completions int, ns int64) (bool, error) {
	n := r.publish()
	r.limit(ns)
	_, _, e := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, r.enterFD, uintptr(n), uintptr(completions), enterGetEvents|enterExtArg|r.enterReg,
		uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	return atomic.LoadUint32(r.cqTail) != *r.cqHead, enterError(e)
}

// limit sets the argument of an enter that waits for ns at most, or for ever if
// negative.
func (r *rings) limit(ns int64) {
	r.arg = getEvents{}
	if ns >= 0 {
		r.ts = timespec{ns / 1e9, ns % 1e9}
		r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.ts))) // r is on the heap: it doesn't move
	}
}

// enterWait submits what is prepared and waits for a completion, for ns at most
// (no limit if negative).
func (r *rings) enterWait(ns int64) error {
	n := r.publish()
	r.limit(ns)
	_, _, e := syscall.Syscall6(unix.SYS_IO_URING_ENTER, r.enterFD, uintptr(n), 1, enterGetEvents|enterExtArg|r.enterReg,
		uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	return enterError(e)
}

// publish shows the kernel what is prepared and returns how many entries it has
// not consumed.
func (r *rings) publish() uint32 {
	atomic.StoreUint32(r.sqTail, r.tail)
	return r.tail - atomic.LoadUint32(r.sqHead)
}

// unsubmitted returns how many prepared entries the kernel has not consumed.
func (r *rings) unsubmitted() uint32 { return r.tail - atomic.LoadUint32(r.sqHead) }

// reap passes at most limit completions to f and then gives their places back.
func (r *rings) reap(limit uint32, f func(*cqe)) int {
	head := *r.cqHead
	n := min(atomic.LoadUint32(r.cqTail)-head, limit)
	for tail := head + n; head != tail; head++ {
		f((*cqe)(unsafe.Add(r.cqes, uintptr(head&r.cqMask)*unsafe.Sizeof(cqe{}))))
	}
	if n > 0 {
		atomic.StoreUint32(r.cqHead, head)
	}
	return int(n)
}

// pending reports whether entries are prepared that the kernel has not taken.
func (r *rings) pending() bool { return r.tail != atomic.LoadUint32(r.sqHead) }

// ready reports whether there are completions to reap.
func (r *rings) ready() bool {
	return atomic.LoadUint32(r.cqTail) != *r.cqHead || r.overflowed()
}

// overflowed reports whether the kernel holds completions that found no place.
func (r *rings) overflowed() bool { return atomic.LoadUint32(r.sqFlags)&sqOverflow != 0 }

// enable starts a ring that was set up disabled; the calling thread becomes its
// single issuer.
func (r *rings) enable() error {
	_, err := sysRegister(r.fd, registerEnable, nil, 0)
	return err
}

// ringUpdate is struct io_uring_rsrc_update.
type ringUpdate struct {
	offset, _ uint32
	data      uint64
}

// registerSelf registers the ring's descriptor with the calling thread (5.18),
// which spares each enter the look-up. Where that fails, and it returns false, the
// ring works without.
func (r *rings) registerSelf() bool {
	u := ringUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	if n, err := sysRegister(r.fd, registerRingFD, unsafe.Pointer(&u), 1); err == nil && n == 1 {
		r.regIndex, r.enterFD, r.enterReg = u.offset, uintptr(u.offset), enterRegistered
	}
	return r.enterReg != 0
}

// close unmaps and closes. It must run on the thread of registerSelf: the place
// in its table of 16 is freed, too.
func (r *rings) close() {
	if r.enterReg != 0 {
		u := ringUpdate{offset: r.regIndex}
		_, _ = sysRegister(r.fd, registerDropRingFDs, unsafe.Pointer(&u), 1)
	}
	for _, m := range r.maps {
		_, _, _ = syscall.Syscall(unix.SYS_MUNMAP, m[0], m[1], 0)
	}
	r.maps = nil
	_ = unix.Close(r.fd)
}
