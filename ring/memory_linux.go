package ring

import (
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// memory is what is registered with the kernel (man 2 io_uring_register,
// IORING_REGISTER_BUFFERS2): a read or write at an offset that lies in it doesn't
// look its pages up. With O_DIRECT and 4 KiB that is 0.2 us of 2.
type memory struct {
	regions [maxRegions][]byte // kept reachable: the kernel has their pages
	n       int
	refused bool
	vec     unix.Iovec // of a registration; here, so that it is on the heap
}

const (
	maxRegions = 16

	registerBuffers2      = 15
	registerBuffersUpdate = 16
	registerSparse        = 1
)

// rsrcRegister is struct io_uring_rsrc_register, rsrcUpdate io_uring_rsrc_update2.
type rsrcRegister struct {
	nr, flags  uint32
	_          uint64
	data, tags uint64
}

type rsrcUpdate struct {
	offset, _  uint32
	data, tags uint64
	nr, _      uint32
}

// Register makes reads into and writes from the memory cheaper, if the kernel can
// (sparse tables came with 5.19) and RLIMIT_MEMLOCK allows. The first lack ends it:
// the memory is as good as any other then.
func (e *Engine) Register(b []byte) {
	m := &e.memory
	if m.refused || m.n == maxRegions || len(b) == 0 || len(b) > 1<<30 || e.flags&setupCoopTaskrun|e.flags&setupDeferTaskrun == 0 {
		return
	}
	if m.n == 0 {
		table := rsrcRegister{nr: maxRegions, flags: registerSparse}
		if _, err := sysRegister(e.r.fd, registerBuffers2, unsafe.Pointer(&table), unsafe.Sizeof(table)); err != nil {
			m.refused = true
			return
		}
	}
	m.vec.Base = &b[0]
	m.vec.SetLen(len(b))
	up := rsrcUpdate{offset: uint32(m.n), data: address(unsafe.Pointer(&m.vec)), nr: 1}
	if _, err := sysRegister(e.r.fd, registerBuffersUpdate, unsafe.Pointer(&up), unsafe.Sizeof(up)); err != nil {
		m.refused = true
		return
	}
	m.regions[m.n] = b
	m.n++
}

// fixed uses the registered region that the entry's memory lies in, if any.
func (m *memory) fixed(q *sqe, c op.Code) {
	for i := range m.n {
		b := m.regions[i]
		if off := q.addr - address(unsafe.Pointer(unsafe.SliceData(b))); off < uint64(len(b)) && uint64(q.len) <= uint64(len(b))-off {
			q.bufIndex = uint16(i)
			q.opcode = opReadFixed
			if c == op.WriteAt {
				q.opcode = opWriteFixed
			}
			return
		}
	}
}
