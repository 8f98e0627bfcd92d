package op

import "unsafe"

// Madvise prepares madvise(2) of the pages that b lies in: MADV_WILLNEED and so on.
// It must begin at a page boundary. What throws contents away, such as
// MADV_DONTNEED, is for memory of mmap(2), not for Go's.
func (o *Op) Madvise(b []byte, advice int) *Op { return o.bytes(Madvise, nil, b, int64(advice)) }

// Getxattr prepares getxattr(2): the value of the attribute of the file with a path,
// behind symbolic links, into value. The result is its length; with an empty value
// memory that is all that happens. ERANGE: it is longer than the memory. ENODATA:
// the file has no such attribute. EOPNOTSUPP: the file system has none.
func (o *Op) Getxattr(path, name string, value []byte) *Op {
	return o.files(Getxattr, nil, &Args{Value: value}, path, name)
}

// Fgetxattr is Getxattr of an open file: fgetxattr(2).
func (o *Op) Fgetxattr(t Target, name string, value []byte) *Op {
	return o.files(Getxattr, t, &Args{Value: value}, "", name)
}

// Setxattr prepares setxattr(2); flags are XATTR_CREATE, XATTR_REPLACE or 0.
func (o *Op) Setxattr(path, name string, value []byte, flags int) *Op {
	return o.files(Setxattr, nil, &Args{Value: value, Flags: uint32(flags)}, path, name)
}

// Fsetxattr is Setxattr of an open file: fsetxattr(2).
func (o *Op) Fsetxattr(t Target, name string, value []byte, flags int) *Op {
	return o.files(Setxattr, t, &Args{Value: value, Flags: uint32(flags)}, "", name)
}

// Listxattr prepares listxattr(2): the names of the attributes, each with a NUL at
// its end, into names. The result is their length in bytes, as that of Getxattr.
func (o *Op) Listxattr(path string, names []byte) *Op {
	return o.files(Listxattr, nil, &Args{Value: names}, path)
}

// Flistxattr is Listxattr of an open file: flistxattr(2).
func (o *Op) Flistxattr(t Target, names []byte) *Op {
	return o.files(Listxattr, t, &Args{Value: names})
}

// Removexattr prepares removexattr(2).
func (o *Op) Removexattr(path, name string) *Op {
	return o.files(Removexattr, nil, &Args{}, path, name)
}

// Fremovexattr is Removexattr of an open file: fremovexattr(2).
func (o *Op) Fremovexattr(t Target, name string) *Op {
	return o.files(Removexattr, t, &Args{}, "", name)
}

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
	a := (*Args)(nil)
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
// would wait for what it could begin.
func (r *Req) AtOnce() bool { return r.NoWait() && r.Handle.s.Kind == File }

// Polled reports whether the caller wants to poll the disk for the result.
func (r *Req) Polled() bool { return r.flagged() && r.Args().Flags&rwfHipri != 0 }

func (r *Req) flagged() bool { return r.Code == Preadv2 || r.Code == Pwritev2 }

// Getdents prepares getdents64(2): the next entries of a directory, in no order, into
// b, as package unix's ParseDirent reads them. The result is their length in bytes, 0
// at the end. It goes on where the last one of the descriptor ended. EINVAL: the next
// entry is longer than b.
func (o *Op) Getdents(t Target, b []byte) *Op { return o.bytes(Getdents, t, b, 0) }

// copyPiece is how much of a copy one attempt does: a cancel waits for it.
const copyPiece = 64 << 20

// CopyFileRange prepares copy_file_range(2) of n bytes from one file to another: the
// kernel copies, and where the file system can, shares the blocks. It completes when
// all is copied, or with an error and the count so far: io.EOF if the source ends
// before. EXDEV and EOPNOTSUPP: not between these file systems. EINVAL: the ranges
// overlap, or one of the two is no regular file. Both handles stay open until it is
// done. A cancel is heard after each 64 MiB.
func (o *Op) CopyFileRange(dst Target, dstOff int64, src Target, srcOff int64, n int) *Op {
	o.files(CopyFileRange, dst, &Args{Dir2: handleOf(src), Offset: dstOff, Offset2: srcOff})
	o.req.N = n
	if srcOff < 0 || n < 0 {
		o.req.Flags |= Invalid
	}
	return o
}
