package op

import "unsafe"

// waitNoWait is WNOWAIT: the child stays as it is, to be waited for again.
const waitNoWait = 0x01000000

// WaitID prepares waitid(2) for the end of the child process that t is a pidfd of
// (pidfd_open(2), Linux 5.4), into x, which belongs to the loop until the final
// callback. The child is reaped by that, unless options has WNOWAIT, the one option
// there is. ECHILD: it is no child of this process, or has been waited for. A wait
// that was cancelled leaves the child as it was.
func (o *Op) WaitID(t Target, x *Exit, options int) *Op {
	if x == nil {
		panic("proactor: WaitID without an Exit")
	}
	r := o.prepare(WaitID, t)
	r.Ptr, r.Off = unsafe.Pointer(x), int64(options)
	if options&^waitNoWait != 0 {
		r.Flags |= Invalid // a pidfd is readable at the end of its process, and not before
	}
	return o
}

// Exit returns what a WaitID fills.
func (r *Req) Exit() *Exit { return (*Exit)(r.Ptr) }
