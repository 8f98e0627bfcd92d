package op

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// largeFile lets a file be longer than 2 GiB where that isn't a matter of course.
const largeFile = unix.O_LARGEFILE

// Dir2FD returns the second directory of an operation on names.
func (a *Args) Dir2FD() int32 {
	if a.Dir2 == nil {
		return unix.AT_FDCWD
	}
	return a.Dir2.s.FD
}

// names executes an operation on names in directories.
func names(r *Req, block bool) int32 {
	a := r.Args()
	dir, dir2 := uintptr(r.DirFD()), uintptr(a.Dir2FD())
	path, path2 := uintptr(unsafe.Pointer(a.Path)), uintptr(unsafe.Pointer(a.Path2))
	flags, mode := uintptr(a.Flags), uintptr(a.Mode)
	switch r.Code {
	case StatxAt:
		return call(block, unix.SYS_STATX, dir, path, flags, mode, uintptr(unsafe.Pointer(a.Stat)), 0)
	case OpenAt2:
		return call(block, unix.SYS_OPENAT2, dir, path, uintptr(unsafe.Pointer(&a.How)), unsafe.Sizeof(a.How), 0, 0)
	case UnlinkAt:
		return call(block, unix.SYS_UNLINKAT, dir, path, flags, 0, 0, 0)
	case RenameAt:
		return call(block, unix.SYS_RENAMEAT2, dir, path, dir2, path2, flags, 0)
	case MkdirAt:
		return call(block, unix.SYS_MKDIRAT, dir, path, mode, 0, 0, 0)
	case LinkAt:
		return call(block, unix.SYS_LINKAT, dir, path, dir2, path2, flags, 0)
	case SymlinkAt:
		return call(block, unix.SYS_SYMLINKAT, path, dir, path2, 0, 0, 0)
	}
	return -int32(unix.EOPNOTSUPP)
}

// ranges executes an operation on a part of a file. Package unix knows how each
// architecture passes 64 bits.
func ranges(r *Req, _ bool) int32 {
	a, fd := r.Args(), int(r.fd())
	var err error
	switch r.Code {
	case Ftruncate:
		err = unix.Ftruncate(fd, a.Len)
	case Fallocate:
		err = unix.Fallocate(fd, a.Mode, a.Offset, a.Len)
	case Fadvise:
		err = unix.Fadvise(fd, a.Offset, a.Len, int(a.Mode))
	case SyncFileRange:
		err = unix.SyncFileRange(fd, a.Offset, a.Len, int(a.Flags))
	}
	if e, ok := err.(unix.Errno); ok {
		return -int32(e)
	}
	return 0
}

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
