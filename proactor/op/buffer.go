package op

import (
	"sync/atomic"
	"unsafe"
)

// Buffer holds received data. It was chosen from the loop's pool at completion,
// and belongs to the callback that it came to: to keep, to Release, or to hand to
// a send, which releases it. Its memory outlives the loop. Lend, Unlend, Sent, Next,
// Memory, and what begins with Fill, are the engines'.
type Buffer struct {
	data []byte // all of its memory
	off  int
	len  int

	pool  *Pool
	next  *Buffer // among the returned, or the free
	owner *Handle // the handle that it was filled for, as long as that counts it
	id    uint16
	extra bool        // not of the pool's own memory
	out   atomic.Bool // with the user

	message bool // the rest has a meaning
	rights  bool // came with descriptors that nobody has taken
	flags   int32
	control Control
	peer    Sockaddr
}

// Bytes returns the received data. It is the caller's to read and to change
// until the Buffer is released or handed to a send.
func (b *Buffer) Bytes() []byte { return b.data[b.off : b.off+b.len] }

// Len returns how many bytes Bytes has.
func (b *Buffer) Len() int { return b.len }

// Skip drops the first n bytes, which have been dealt with.
func (b *Buffer) Skip(n int) {
	if n < 0 || n > b.len {
		panic("proactor: Skip beyond a Buffer's data")
	}
	b.off, b.len = b.off+n, b.len-n
}

// Copy returns the data in memory of its own: for those who keep a little of it
// for long, and would otherwise keep the whole Buffer from the pool.
func (b *Buffer) Copy() []byte { return append([]byte(nil), b.Bytes()...) }

// Release gives the Buffer back to its pool. Any goroutine may call it, also when
// the loop is closed. Twice panics.
func (b *Buffer) Release() {
	if !b.out.CompareAndSwap(true, false) {
		panic("proactor: Buffer released twice")
	}
	if b.rights {
		b.dropRights()
	}
	b.pool.put(b)
}

// Lend hands the Buffer to a send: from here on it is not the caller's to release.
func (b *Buffer) Lend() {
	if !b.out.CompareAndSwap(true, false) {
		panic("proactor: send of a Buffer that was released or handed to another send")
	}
}

// Unlend takes Lend back: the send was refused.
func (b *Buffer) Unlend() { b.out.Store(true) }

// Sent gives a lent Buffer back to its pool.
func (b *Buffer) Sent() {
	if b.rights {
		b.dropRights()
	}
	b.pool.put(b)
}

// Pool is a loop's store of Buffers, of one size. The loop takes, anyone returns.
type Pool struct {
	size int
	bufs []Buffer
	slab []byte

	returned atomic.Pointer[Buffer] // given back, not yet seen by the loop
	wanted   atomic.Bool            // a return must wake the loop
	wake     func()

	free  *Buffer // the loop's: ready to be filled, unless the engine holds them
	nfree int
}

// NewPool makes a pool of n buffers of the size. Its memory is one piece, which
// costs nothing before it is used. Wake is called, on any goroutine, when a
// buffer comes back that was wanted.
func NewPool(n, size int, wake func()) *Pool {
	p := &Pool{size: size, bufs: make([]Buffer, n), wake: wake}
	p.slab = pages(p, n*size)
	for i := range p.bufs {
		b := &p.bufs[i]
		*b = Buffer{data: p.slab[i*size : (i+1)*size : (i+1)*size], pool: p, id: uint16(i)}
		b.next, p.free = p.free, b
	}
	p.nfree = n
	return p
}

// Count returns how many buffers there are.
func (p *Pool) Count() int { return len(p.bufs) }

// Free returns how many of them wait to be filled. Loop goroutine only.
func (p *Pool) Free() int { return p.nfree }

// Size returns the size of each.
func (p *Pool) Size() int { return p.size }

// put returns a buffer from any goroutine.
func (p *Pool) put(b *Buffer) {
	for {
		h := p.returned.Load()
		b.next = h
		if p.returned.CompareAndSwap(h, b) {
			break
		}
	}
	if p.wanted.Load() && p.wanted.CompareAndSwap(true, false) {
		p.wake()
	}
}

// Want asks for a wake-up at the next return. It reports whether there has been
// one already. Loop goroutine only.
func (p *Pool) Want() bool {
	p.wanted.Store(true)
	return p.returned.Load() != nil
}

// Returned empties the list of what came back. Loop goroutine only.
func (p *Pool) Returned() *Buffer {
	if p.returned.Load() == nil {
		return nil
	}
	return p.returned.Swap(nil)
}

// Next returns the buffer behind b in a list of Returned, and b's owner, whom it
// no longer counts for.
func (b *Buffer) Next() (*Buffer, *Handle) {
	next, owner := b.next, b.owner
	b.next, b.owner = nil, nil
	return next, owner
}

// Extra moves what b holds to memory outside the pool, and makes b ready to be
// filled again. Loop goroutine only.
func (p *Pool) Extra(b *Buffer) *Buffer {
	x := &Buffer{data: b.Copy(), pool: p, extra: true}
	x.Fill(b.len, b.owner)
	if b.message {
		x.message, x.flags, x.peer = true, b.flags, b.peer
		x.control, x.rights, b.rights = append(Control(nil), b.control...), b.rights, false
	}
	b.out.Store(false)
	b.owner = nil
	p.Refill(b)
	return x
}

// Spare returns a Buffer of n bytes outside the pool.
func (p *Pool) Spare(n int) *Buffer { return &Buffer{data: make([]byte, n), pool: p, extra: true} }

// Unused takes back a buffer that was filled with nothing: descriptors can have come
// with that. Loop goroutine only.
func (p *Pool) Unused(b *Buffer) {
	if b.rights {
		b.dropRights()
	}
	b.out.Store(false)
	b.owner = nil
	p.Refill(b)
}

// Refill makes a buffer ready to be filled again. Loop goroutine only.
func (p *Pool) Refill(b *Buffer) {
	if b.extra {
		return // the garbage collector's
	}
	b.next, p.free = p.free, b
	p.nfree++
}

// Take takes a buffer that is ready to be filled; nil if there is none. Loop
// goroutine only.
func (p *Pool) Take() *Buffer {
	b := p.free
	if b != nil {
		p.free, b.next = b.next, nil
		p.nfree--
	}
	return b
}

// Memory returns where a buffer begins and its number, for the kernel.
func (b *Buffer) Memory() (unsafe.Pointer, uint16) { return unsafe.Pointer(&b.data[0]), b.id }

// At returns the buffer with a number.
func (p *Pool) At(id uint16) *Buffer { return &p.bufs[id] }

// Fill makes the buffer the user's, with n bytes for a handle.
func (b *Buffer) Fill(n int, h *Handle) {
	b.off, b.len, b.owner = 0, n, h
	if b.message {
		b.message, b.flags, b.peer.n, b.control = false, 0, 0, nil
	}
	b.out.Store(true)
}
