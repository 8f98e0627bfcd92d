package op

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// memoryCall executes a call that takes memory and nothing else.
func memoryCall(r *Req, block bool) int32 {
	if r.Code == Madvise {
		return call(block, unix.SYS_MADVISE, uintptr(r.Ptr), uintptr(r.N), uintptr(r.Off), 0, 0, 0)
	}
	return call(block, unix.SYS_GETDENTS64, r.fd(), uintptr(r.Ptr), uintptr(min(r.N, MaxBytes)), 0, 0, 0)
}

// attributes executes an operation on extended attributes, of a path or of a handle.
func attributes(r *Req, block bool) int32 {
	a := r.Args()
	file, traps := uintptr(unsafe.Pointer(a.Path)), [...]uintptr{unix.SYS_GETXATTR, unix.SYS_SETXATTR, unix.SYS_LISTXATTR, unix.SYS_REMOVEXATTR}
	if r.Handle != nil {
		file, traps = r.fd(), [...]uintptr{unix.SYS_FGETXATTR, unix.SYS_FSETXATTR, unix.SYS_FLISTXATTR, unix.SYS_FREMOVEXATTR}
	}
	name := uintptr(unsafe.Pointer(a.Path2))
	value, n := uintptr(unsafe.Pointer(unsafe.SliceData(a.Value))), uintptr(len(a.Value))
	trap := traps[r.Code-Getxattr]
	if r.Code == Listxattr {
		return call(block, trap, file, value, n, 0, 0, 0)
	}
	return call(block, trap, file, name, value, n, uintptr(a.Flags), 0)
}

// copyRange copies the next piece.
func copyRange(r *Req) int32 {
	a := r.Args()
	to, from := a.Offset+int64(r.Moved), a.Offset2+int64(r.Moved)
	n, err := unix.CopyFileRange(int(a.Dir2.s.FD), &from, int(r.fd()), &to, min(r.N-r.Moved, copyPiece), 0)
	if e, ok := err.(unix.Errno); ok {
		return -int32(e)
	}
	return int32(n)
}
