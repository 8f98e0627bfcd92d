package op

import (
	"io/fs"
	"syscall"
	"time"
	"unsafe"
)

// Args are what an operation on files takes, where that is more than memory and an
// offset. It is the engines' side of an Op; the verbs make it.
type Args struct {
	Path, Path2 *byte // end with a NUL
	Dir2        *Handle
	Stat        *Statx
	Offset, Len int64
	Flags       uint32
	Mode        uint32
	How         OpenHow
	Into        *Handle // what the descriptor becomes

	Pipe, Pipe2 *Pipe
	Pipes       *Pipes   // where Pipe is taken from
	pos         int64    // what the kernel reads an offset from
	cached      int64    // a SendFile's file is in the page cache up to here
	away        bool     // with a worker, which reads it
	Value       []byte   // of an attribute
	Vec         [][]byte // of a read or a write with flags
	Offset2     int64    // in the file that Dir2 is
}

// OpenHow is struct open_how (openat2(2)).
type OpenHow struct {
	Flags   uint64 // O_RDONLY and so on; O_CLOEXEC is added
	Mode    uint64
	Resolve uint64 // RESOLVE_BENEATH and so on: where the path may lead
}

// Statx is struct statx: what Op.Statx fills (statx(2)).
type Statx struct {
	Mask                       uint32 // which of the fields are valid
	Blksize                    uint32
	Attributes                 uint64
	Nlink, UID, GID            uint32
	RawMode                    uint16 // type and permissions, as in stat(2); see Mode
	_                          uint16
	Ino, Bytes, Blocks         uint64
	AttributesMask             uint64
	Atime, Btime, Ctime, Mtime StatxTime
	RdevMajor, RdevMinor       uint32
	DevMajor, DevMinor         uint32
	MntID                      uint64
	DioMemAlign                uint32 // of memory for O_DIRECT, 0 if unknown (Linux 6.1)
	DioOffsetAlign             uint32
	_                          [12]uint64
}

// StatxTime is struct statx_timestamp.
type StatxTime struct {
	Sec  int64
	Nsec uint32
	_    int32
}

// Time returns the point in time.
func (t StatxTime) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

// Size returns the length of a regular file in bytes.
func (s *Statx) Size() int64 { return int64(s.Bytes) }

// Mode returns type and permissions as package fs has them.
func (s *Statx) Mode() fs.FileMode {
	m := fs.FileMode(s.RawMode & 0o777)
	switch s.RawMode & 0o170000 {
	case 0o040000:
		m |= fs.ModeDir
	case 0o120000:
		m |= fs.ModeSymlink
	case 0o010000:
		m |= fs.ModeNamedPipe
	case 0o140000:
		m |= fs.ModeSocket
	case 0o020000:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		m |= fs.ModeDevice
	}
	for bit, flag := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if s.RawMode&bit != 0 {
			m |= flag
		}
	}
	return m
}

// statxBasic asks for what stat(2) has: STATX_BASIC_STATS.
const statxBasic = 0x7ff

// Args returns what an operation on files takes.
func (r *Req) Args() *Args { return (*Args)(r.Ptr) }

// files prepares an operation on files.
func (o *Op) files(c Code, t Target, a *Args, paths ...string) *Op {
	r := o.prepare(c, t)
	r.Ptr = unsafe.Pointer(a)
	for i, to := range []**byte{&a.Path, &a.Path2}[:len(paths)] {
		p, err := syscall.BytePtrFromString(paths[i])
		if err != nil {
			r.Flags |= Invalid // a NUL inside the path
		}
		*to = p
	}
	if a.Offset < 0 || a.Len < 0 {
		r.Flags |= Invalid
	}
	return o
}

func handleOf(t Target) *Handle {
	if t == nil {
		return nil
	}
	return t.target()
}

// Statx prepares statx(2) of the path below dir, or with an empty path and flags
// AT_EMPTY_PATH (0x1000) of dir itself, into s; a nil dir is the working directory.
// Mask says what is asked for; 0 is what stat(2) has.
func (o *Op) Statx(dir Target, path string, flags int, mask uint32, s *Statx) *Op {
	if mask == 0 {
		mask = statxBasic
	}
	return o.files(StatxAt, dir, &Args{Stat: s, Flags: uint32(flags), Mode: mask}, path)
}

// OpenAt2 prepares openat2(2), with O_CLOEXEC added: OpenAt that can be told where
// the path may lead (Linux 5.6). The result is the new descriptor, the callback's to
// register.
func (o *Op) OpenAt2(dir Target, path string, how OpenHow) *Op {
	how.Flags |= 0o2000000 | largeFile // O_CLOEXEC
	return o.files(OpenAt2, dir, &Args{How: how}, path)
}

// OpenInto is OpenAt whose descriptor becomes h, a zero Handle: as if the callback had
// registered it. So operations of the same chain can name h before it is open. EBUSY: another
// operation has opened h meanwhile.
func (o *Op) OpenInto(h *Handle, dir Target, path string, flags int, mode uint32) *Op {
	if h.s.Loop != 0 {
		panic("proactor: OpenInto a Handle that has been in use")
	}
	const tmpfile = 0o20000000
	how := OpenHow{Flags: uint64(uint32(flags))}
	if flags&(syscall.O_CREAT|tmpfile) != 0 { // else openat2 refuses a mode
		how.Mode = uint64(mode & 0o7777)
	}
	o.OpenAt2(dir, path, how)
	o.req.Args().Into = h
	return o
}

// UnlinkAt prepares unlinkat(2); flags AT_REMOVEDIR (0x200) removes a directory.
func (o *Op) UnlinkAt(dir Target, path string, flags int) *Op {
	return o.files(UnlinkAt, dir, &Args{Flags: uint32(flags)}, path)
}

// RenameAt prepares renameat2(2): flags are RENAME_NOREPLACE and so on.
func (o *Op) RenameAt(from Target, old string, to Target, path string, flags int) *Op {
	return o.files(RenameAt, from, &Args{Dir2: handleOf(to), Flags: uint32(flags)}, old, path)
}

// MkdirAt prepares mkdirat(2).
func (o *Op) MkdirAt(dir Target, path string, mode uint32) *Op {
	return o.files(MkdirAt, dir, &Args{Mode: mode}, path)
}

// LinkAt prepares linkat(2).
func (o *Op) LinkAt(from Target, old string, to Target, path string, flags int) *Op {
	return o.files(LinkAt, from, &Args{Dir2: handleOf(to), Flags: uint32(flags)}, old, path)
}

// SymlinkAt prepares symlinkat(2): a link at the path below dir that leads to target.
func (o *Op) SymlinkAt(target string, dir Target, path string) *Op {
	return o.files(SymlinkAt, dir, &Args{}, target, path)
}

// Ftruncate prepares ftruncate(2) to size bytes.
func (o *Op) Ftruncate(t Target, size int64) *Op {
	return o.files(Ftruncate, t, &Args{Len: size})
}

// Fallocate prepares fallocate(2) of n bytes from the offset on; mode is
// FALLOC_FL_KEEP_SIZE and so on.
func (o *Op) Fallocate(t Target, mode int, off, n int64) *Op {
	return o.files(Fallocate, t, &Args{Offset: off, Len: n, Mode: uint32(mode)})
}

// Fadvise prepares posix_fadvise(2); n 0 is up to the end of the file.
func (o *Op) Fadvise(t Target, off, n int64, advice int) *Op {
	return o.files(Fadvise, t, &Args{Offset: off, Len: n, Mode: uint32(advice)})
}

// SyncFileRange prepares sync_file_range(2).
func (o *Op) SyncFileRange(t Target, off, n int64, flags int) *Op {
	return o.files(SyncFileRange, t, &Args{Offset: off, Len: n, Flags: uint32(flags)})
}

// Madvise prepares madvise(2) of the pages that b lies in: MADV_WILLNEED and so on.
// It must begin at a page boundary. What throws contents away, such as
// MADV_DONTNEED, is for memory of mmap(2), not for Go's.
func (o *Op) Madvise(b []byte, advice int) *Op { return o.bytes(Madvise, nil, b, int64(advice)) }

// Getdents prepares getdents64(2): the next entries of a directory, in no order, into
// b, as package unix's ParseDirent reads them. The result is their length in bytes, 0
// at the end. It goes on where the last one of the descriptor ended. EINVAL: the next
// entry is longer than b.
func (o *Op) Getdents(t Target, b []byte) *Op { return o.bytes(Getdents, t, b, 0) }
