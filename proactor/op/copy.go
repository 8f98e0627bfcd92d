package op

// Second returns the handle that an operation names besides Handle; nil if none.
func (r *Req) Second() *Handle {
	if !r.Code.Info().Second {
		return nil
	}
	return r.Args().Dir2
}

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
