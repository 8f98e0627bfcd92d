package ring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's interface: include/uapi/linux/io_uring.h, man 7 io_uring.

// sqe is struct io_uring_sqe.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64 // addr2
	addr     uint64
	len      uint32
	opFlags  uint32 // rw_flags, msg_flags, accept_flags, open_flags, ...
	userData uint64
	bufIndex uint16
	persona  uint16
	file     uint32
	addr3    uint64
	_        uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32

	resv [3]uint32
	sq   struct{ head, tail, mask, entries, flags, dropped, array, resv uint32 }
	_    uint64
	cq   struct{ head, tail, mask, entries, overflow, cqes, flags, resv uint32 }
	_    uint64
}

// getEvents is struct io_uring_getevents_arg.
type getEvents struct {
	sigmask uint64
	sigsize uint32
	minWait uint32
	ts      uint64
}

// timespec is struct __kernel_timespec: 64 bits everywhere.
type timespec struct{ sec, nsec int64 }

// Opcodes.
const (
	opNop        = 0
	opReadv      = 1
	opReadFixed  = 4
	opWriteFixed = 5
	opWritev     = 2
	opFsync      = 3
	opPollAdd    = 6
	opSendmsg    = 9
	opRecvmsg    = 10
	opAccept     = 13
	opCancel     = 14
	opConnect    = 16
	opOpenat     = 18
	opClose      = 19
	opRead       = 22
	opWrite      = 23
	opSend       = 26
	opRecv       = 27
	opShutdown   = 34

	opSyncFileRange = 8
	opFallocate     = 17
	opStatx         = 21
	opFadvise       = 24
	opOpenat2       = 28
	opRenameat      = 35
	opUnlinkat      = 36
	opMkdirat       = 37
	opSymlinkat     = 38
	opLinkat        = 39
	opSendZC        = 47
	opFtruncate     = 55
	opMadvise       = 25
	opFsetxattr     = 41
	opSetxattr      = 42
	opFgetxattr     = 43
	opGetxattr      = 44
	opMsgRing       = 40
	opWaitid        = 50
	opFutexWait     = 51
	opFutexWake     = 52
	futexWord       = 2         // FUTEX2_SIZE_U32, shared between processes
	futexAny        = 1<<32 - 1 // FUTEX_BITSET_MATCH_ANY
	skipSuccess     = 1 << 6    // IOSQE_CQE_SKIP_SUCCESS, 5.17
	fsyncData       = 1 << 0    // IORING_FSYNC_DATASYNC
	pollFirst       = 1 << 0    // IORING_RECVSEND_POLL_FIRST, 5.19
	recvMulti       = 1 << 1    // IORING_RECV_MULTISHOT, 6.0
	acceptMulti     = 1 << 0    // IORING_ACCEPT_MULTISHOT, 5.19
	zcReport        = 1 << 3    // IORING_SEND_ZC_REPORT_USAGE, 6.2
	zcCopied        = 1 << 31   // IORING_NOTIF_USAGE_ZC_COPIED
	cqeNotif        = 1 << 3    // IORING_CQE_F_NOTIF, 6.0
	bufSelect       = 1 << 5    // IOSQE_BUFFER_SELECT
	cqeBuffer       = 1 << 0    // IORING_CQE_F_BUFFER
	cqeMore         = 1 << 1    // IORING_CQE_F_MORE
	cqeNonEmpty     = 1 << 2    // IORING_CQE_F_SOCK_NONEMPTY, 5.19
)

// Setup flags, with the kernel that brought them.
const (
	setupCQSize       = 1 << 3  // 5.5
	setupClamp        = 1 << 4  // 5.6
	setupDisabled     = 1 << 6  // 5.10
	setupSubmitAll    = 1 << 7  // 5.18
	setupCoopTaskrun  = 1 << 8  // 5.19
	setupTaskrunFlag  = 1 << 9  // 5.19
	setupSingleIssuer = 1 << 12 // 6.0
	setupDeferTaskrun = 1 << 13 // 6.1
	setupNoSQArray    = 1 << 16 // 6.6
)

// Feature bits.
const (
	featSingleMmap   = 1 << 0  // 5.4
	featNoDrop       = 1 << 1  // 5.5
	featSubmitStable = 1 << 2  // 5.5
	featExtArg       = 1 << 8  // 5.11
	featRegRegRing   = 1 << 13 // 6.3
)

// Enter flags.
const (
	enterGetEvents  = 1 << 0
	enterExtArg     = 1 << 3
	enterRegistered = 1 << 4
)

// sqOverflow is IORING_SQ_CQ_OVERFLOW.
const sqOverflow = 1 << 1

// Register opcodes.
const (
	registerProbe       = 8
	registerEnable      = 12
	registerRingFD      = 20
	registerDropRingFDs = 21
)

// Offsets for mmap.
const (
	offSQRing = 0
	offCQRing = 0x8000000
	offSQEs   = 0x10000000
)

func sysSetup(entries uint32, p *params) (int, error) {
	fd, _, e := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

func sysRegister(fd int, opcode uintptr, arg unsafe.Pointer, n uintptr) (int, error) {
	r, _, e := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), opcode, uintptr(arg), n, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}
