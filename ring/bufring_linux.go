package ring

import (
	"sync/atomic"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// bufRing is a ring of provided buffers (man 3 io_uring_setup_buf_ring, Linux
// 5.19): the kernel takes the next one when data has come. It knows the buffers
// of the pool by their numbers, and gives them out in the order they came in.
type bufRing struct {
	pool *op.Pool
	mem  []byte // entries of 16 bytes; the first one's last 2 bytes are the tail
	mask uint16
	tail uint16
	in   int // buffers that the kernel has
}

// bufGroup is the number of the one group.
const bufGroup = 1

// bufEntry is struct io_uring_buf.
type bufEntry struct {
	addr uint64
	len  uint32
	id   uint16
	tail uint16 // of the ring, in the first entry
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

const registerPbufRing = 22

// open registers a ring for the pool; false if the kernel can't.
func (b *bufRing) open(fd int, p *op.Pool) bool {
	n := 1
	for n < p.Count() {
		n *= 2
	}
	if n > 1<<15 {
		return false
	}
	mem, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(bufEntry{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return false
	}
	reg := bufReg{addr: address(unsafe.Pointer(&mem[0])), entries: uint32(n), group: bufGroup}
	if _, err := sysRegister(fd, registerPbufRing, unsafe.Pointer(&reg), 1); err != nil {
		_ = unix.Munmap(mem)
		return false
	}
	*b = bufRing{pool: p, mem: mem, mask: uint16(n - 1)}
	return true
}

// refill gives the kernel all buffers that are free.
func (b *bufRing) refill() {
	for x := b.pool.Take(); x != nil; x = b.pool.Take() {
		p, id := x.Memory()
		e := (*bufEntry)(unsafe.Pointer(&b.mem[int(b.tail&b.mask)*int(unsafe.Sizeof(bufEntry{}))]))
		// Field by field: the first entry's tail is the kernel's to read.
		e.addr, e.len, e.id = address(p), uint32(b.pool.Size()), id
		b.tail++
		b.in++
	}
	b.publish()
}

// publish shows the kernel the tail. The 16 bits are stored together with the
// number before them, as 32: that is what atomic stores there are.
func (b *bufRing) publish() {
	word := (*uint32)(unsafe.Pointer(&b.mem[12]))
	first := (*bufEntry)(unsafe.Pointer(&b.mem[0]))
	v := uint32(first.id) | uint32(b.tail)<<16
	if bigEndian {
		v = uint32(first.id)<<16 | uint32(b.tail)
	}
	atomic.StoreUint32(word, v)
}

// took is the buffer that a completion names.
func (b *bufRing) took(flags uint32) *op.Buffer {
	b.in--
	return b.pool.At(uint16(flags >> 16))
}

// close frees the entries. The ring is closed, nothing receives any more.
func (b *bufRing) close() {
	if b.mem != nil {
		_ = unix.Munmap(b.mem)
		b.mem = nil
	}
}

// Use receives into the buffers of p from now on.
func (e *Engine) Use(p *op.Pool) {
	e.pool = p
	if e.native[op.RecvEach] {
		e.receiveNatively(e.bufs.open(e.r.fd, p))
	}
}

// Refill gives the kernel the buffers that are free.
func (e *Engine) Refill() {
	if e.native[op.RecvEach] && e.pool != nil {
		e.bufs.refill()
	}
}

// Available returns how many buffers can be received into.
func (e *Engine) Available() int {
	if e.pool == nil {
		return 0
	}
	return e.bufs.in + e.pool.Free()
}
