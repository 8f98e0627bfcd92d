package op

import "unsafe"

// FutexWait prepares the wait (futex(2), FUTEX_WAIT) for a FutexWake of the word at
// addr, by any process that has the memory, if the word is val when the wait begins;
// EAGAIN if it isn't. It may end without a reason, so look at the word again. Waits
// and wakes are those between processes: they don't meet waiters with
// FUTEX_PRIVATE_FLAG.
//
// The word is on the Go heap, or in memory of another kind (mmap(2)), which stays
// mapped until the final callback: the caller sees to that. It is aligned to 4 bytes,
// or the result is EINVAL; read and write it by package sync/atomic.
//
// Nothing but io_uring can wait for a futex without a thread that can't be stopped:
// elsewhere, and before Linux 6.7, it ends with errors.ErrUnsupported. Ask
// Loop.Supports.
func (o *Op) FutexWait(addr *uint32, val uint32) *Op {
	return o.futex(FutexWait, addr, val)
}

// FutexWake prepares the wake-up (futex(2), FUTEX_WAKE) of at most n who wait for the
// word at addr, of this process and of others. The result is how many they were.
func (o *Op) FutexWake(addr *uint32, n int) *Op {
	o.futex(FutexWake, addr, uint32(n))
	if n <= 0 || n > 1<<31-1 {
		o.req.Flags |= Invalid
	}
	return o
}

func (o *Op) futex(c Code, addr *uint32, val uint32) *Op {
	if addr == nil {
		panic("proactor: " + c.String() + " without a word")
	}
	r := o.prepare(c, nil)
	r.Ptr, r.Off = unsafe.Pointer(addr), int64(val)
	return o
}
