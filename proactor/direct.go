package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// AlignRange widens n bytes at an offset to the alignment that O_DIRECT asks for:
// what is read from start on has them after off-start bytes. It panics on a negative
// range, and on an alignment that isn't positive.
func AlignRange(off int64, n, align int) (start int64, length int) {
	if off < 0 || n < 0 || align <= 0 {
		panic("proactor: AlignRange of a negative range, or to no alignment")
	}
	before := int(off % int64(align))
	return off - int64(before), (before + n + align - 1) / align * align
}

// safeAlignment suits every disk and page.
const safeAlignment = 4096

// statxDioAlign is STATX_DIOALIGN (Linux 6.1).
const statxDioAlign = 0x2000

// Alignment tells what offsets, lengths and memory for O_DIRECT must be multiples of
// (statx(2)): 4096 where the kernel can't tell. EOPNOTSUPP: the file can't be read so
// at all. Memory of Loop.Memory is always aligned.
func (f *File) Alignment(done func(align int, err error)) (op.Ticket, error) {
	var st Statx
	return f.loop.callAt(f.at("statx"), func(o *op.Op) { o.Statx(f, "", atEmptyPath, statxDioAlign, &st) }, func(err error) {
		if err != nil {
			done(0, err)
			return
		}
		align, err := alignment(&st)
		done(align, f.at("statx").explain(err))
	})
}

func alignment(st *Statx) (int, error) {
	switch {
	case st.Mask&statxDioAlign == 0:
		return safeAlignment, nil
	case st.DioOffsetAlign == 0:
		return 0, syscall.EOPNOTSUPP
	}
	return int(max(st.DioMemAlign, st.DioOffsetAlign)), nil
}
