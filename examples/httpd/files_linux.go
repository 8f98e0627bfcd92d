package main

import (
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// openRoot opens the directory that is served, and sees that openat2(2) is there.
func openRoot(name string) (fd int, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC}
	fd, err = unix.Openat2(unix.AT_FDCWD, name, &how)
	if err == unix.ENOSYS {
		return -1, fmt.Errorf("openat2: %w (Linux 5.6 has it)", err)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// identify tells which file a descriptor is of, and its state, without asking a file
// server: a look at what the kernel has, so it is not an operation of the loop.
func identify(fd int) (id identity, err error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS, &st); err != nil {
		return id, err
	}
	id = identity{
		dev: uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), ino: st.Ino, size: int64(st.Size),
		mtime: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec), ctime: st.Ctime.Sec*1e9 + int64(st.Ctime.Nsec),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		id.mode = fs.ModeDir
	default:
		id.mode = fs.ModeIrregular
	}
	return id, nil
}

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
