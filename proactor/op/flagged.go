package op

import "unsafe"

// The flags of preadv2(2) that decide how an operation is executed.
const (
	rwfHipri  = 0x1
	rwfNowait = 0x8
)

// Preadv2 is ReadvAt with flags: preadv2(2), RWF_NOWAIT and so on. With RWF_NOWAIT it
// never waits for the disk: where that would be needed it ends with EAGAIN and the
// count so far, and where the file system can't tell, with EOPNOTSUPP.
func (o *Op) Preadv2(t Target, v [][]byte, off int64, flags int) *Op {
	return o.flagged(Preadv2, t, v, off, flags)
}

// Pwritev2 is WritevAt with flags: pwritev2(2), RWF_DSYNC, RWF_APPEND (which ignores
// the offset, but it must not be negative) and so on. RWF_NOWAIT is as for Preadv2.
func (o *Op) Pwritev2(t Target, v [][]byte, off int64, flags int) *Op {
	return o.flagged(Pwritev2, t, v, off, flags)
}

// flagged prepares an operation on several buffers with flags. An Op that is prepared
// for the same again needs no new memory.
func (o *Op) flagged(c Code, t Target, v [][]byte, off int64, flags int) *Op {
	o.mustBeIdle()
	var a *Args
	if o.req.Code == c {
		a = o.req.Args()
	} else {
		a = new(Args)
	}
	a.Vec, a.Flags = v, uint32(flags)
	r := o.prepare(c, t)
	r.Ptr, r.N = unsafe.Pointer(a), len(v)
	r.setOffset(off)
	return o
}

// NoWait reports whether the operation must not wait for a disk.
func (r *Req) NoWait() bool { return r.flagged() && r.Args().Flags&rwfNowait != 0 }

// AtOnce reports whether the loop itself can make the system call. With O_DIRECT it
// would wait for what it could begin, and a write for its RWF_SYNC.
func (r *Req) AtOnce() bool { return r.NoWait() && r.Code == Preadv2 && r.Handle.s.Kind == File }

// Polled reports whether the caller wants to poll the disk for the result.
func (r *Req) Polled() bool { return r.flagged() && r.Args().Flags&rwfHipri != 0 }

func (r *Req) flagged() bool { return r.Code == Preadv2 || r.Code == Pwritev2 }
