package proactor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// duplicate returns a duplicate of a descriptor of package net.
func duplicate(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if e := raw.Control(func(from uintptr) { fd, err = duplicateFD(int(from)) }); e != nil {
		return -1, e
	}
	return fd, err
}

// withFD calls f with the descriptor of a file, which stays open meanwhile. File.Fd
// would make it blocking.
func withFD(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if raw.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return os.ErrClosed // which the error that it has is not
	}
	return err
}

func duplicateFD(from int) (int, error) {
	fd, err := unix.FcntlInt(uintptr(from), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("fcntl", err)
}

var (
	errNoOffsets = fmt.Errorf("no offsets, see AdoptStream: %w", errors.ErrUnsupported)
	errNoStream  = fmt.Errorf("not a stream, see AdoptFile: %w", errors.ErrUnsupported)
)

// duplicateFile returns a duplicate of the descriptor of what has offsets.
func duplicateFile(f *os.File) (fd int, err error) {
	err = withFD(f, func(from int) (err error) {
		var st unix.Stat_t
		if err := unix.Fstat(from, &st); err != nil {
			return os.NewSyscallError("fstat", err)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFBLK, unix.S_IFDIR:
			fd, err = duplicateFD(from)
			return err
		}
		return errNoOffsets
	})
	return fd, err
}

// duplicateStream returns a descriptor of the same stream that a loop can use.
func duplicateStream(f *os.File) (fd int, kind op.Kind, err error) {
	err = withFD(f, func(from int) (err error) {
		fd, kind, err = ownStream(from)
		return err
	})
	return fd, kind, err
}

func ownStream(from int) (fd int, kind op.Kind, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return -1, 0, os.NewSyscallError("fstat", err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK: // each call on a socket says for itself that it mustn't block
		if kind = socketKind(from); kind == op.Packet {
			return -1, 0, errNoStream
		}
		fd, err = duplicateFD(from)
	case unix.S_IFIFO, unix.S_IFCHR:
		kind = op.Stream
		fd, err = openAnew(from, &st)
	default:
		err = errNoStream
	}
	return fd, kind, err
}

// openAnew returns a non-blocking description of what from is, without a change to
// from's own.
func openAnew(from int, st *unix.Stat_t) (int, error) {
	flags, err := unix.FcntlInt(uintptr(from), unix.F_GETFL, 0)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	err = errors.ErrUnsupported
	if isReopenable(from, st) {
		var fd int
		fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(from), flags&unix.O_ACCMODE|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err == nil {
			return fd, nil
		}
	}
	if flags&unix.O_NONBLOCK != 0 {
		return duplicateFD(from)
	}
	return -1, fmt.Errorf("it is in blocking mode, maybe shared, and can't be opened anew: %w", err)
}

// memoryDevices is the major number of /dev/null, /dev/zero, /dev/random and such.
const memoryDevices = 1

// isReopenable reports whether opening the file again gives the same stream.
func isReopenable(fd int, st *unix.Stat_t) bool {
	if st.Mode&unix.S_IFMT == unix.S_IFIFO || unix.Major(uint64(st.Rdev)) == memoryDevices {
		return true
	}
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return false
	}
	_, err := unix.IoctlGetInt(fd, unix.TIOCGPTN) // only masters have it
	return err != nil
}
