package op

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is how a child process ended: what Op.WaitID fills.
type Exit struct{ info unix.Siginfo }

// Words of a siginfo_t about a child, after what package unix names. Pointers are
// aligned before them.
const (
	wordPID    = 2 + int(unsafe.Sizeof(uintptr(0)))/4
	wordStatus = wordPID + 2
)

func (x *Exit) word(i int) int32 { return (*[32]int32)(unsafe.Pointer(&x.info))[i] }

// Empty reports whether nothing has been filled in.
func (x *Exit) Empty() bool { return x.info.Signo == 0 }

// Info empties x and returns the memory that the kernel fills.
func (x *Exit) Info() unsafe.Pointer {
	x.info = unix.Siginfo{}
	return unsafe.Pointer(&x.info)
}

// Pid returns the number that the process had.
func (x *Exit) Pid() int { return int(x.word(wordPID)) }

// Status returns how the process ended, as wait(2) encodes it: its exit code, or the
// signal that killed it, and whether it dumped core.
func (x *Exit) Status() syscall.WaitStatus {
	const exited, dumped = 1, 3 // CLD_EXITED, CLD_DUMPED
	s := syscall.WaitStatus(x.word(wordStatus))
	switch x.info.Code {
	case exited:
		return s & 0xff << 8
	case dumped:
		return s | 0x80
	}
	return s
}

// waitNow is waitid(2) that doesn't wait.
func waitNow(r *Req) int32 {
	x := r.Exit()
	ret := call(false, unix.SYS_WAITID, unix.P_PIDFD, r.fd(), uintptr(x.Info()), uintptr(r.WaitOptions()|unix.WNOHANG), 0, 0)
	if ret == 0 && x.Empty() {
		return EAGAIN
	}
	return ret
}

// WaitOptions returns the options of a WaitID.
func (r *Req) WaitOptions() uint32 { return uint32(r.Off) | unix.WEXITED }
