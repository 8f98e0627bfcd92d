package op

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// The errors that are this library's own. The others are the standard ones:
// io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, errors.ErrUnsupported, and
// *os.SyscallError for what a system call answered.
var (
	// ErrCanceled: the operation ended because Cancel asked it to.
	ErrCanceled = errors.New("proactor: operation canceled")
	// ErrNotFound: a cancel's target had already completed.
	ErrNotFound = errors.New("proactor: no such operation in flight")
	// ErrTorn: an earlier send on the same handle stopped part-way, so sending
	// this would put it after a gap.
	ErrTorn = errors.New("proactor: an earlier send stopped part-way")
	// ErrFull: a bounded queue of the library is full.
	ErrFull = errors.New("proactor: queue full")
	// ErrPending: operations are under way on a handle that was to be moved.
	ErrPending = errors.New("proactor: operations are pending")
	// ErrInvalid: a verb was given arguments that no system call could take.
	ErrInvalid = errors.New("proactor: invalid argument")
)

// Status is an outcome that is no errno. As Req.Ret it is negative, below
// every errno.
type Status int32

// The statuses.
const (
	EOF Status = -10000 - iota
	Canceled
	DeadlineExceeded
	Closed
	NotFound
	Torn
	ShortWrite
	Pending
)

var statuses = [...]error{
	io.EOF, ErrCanceled, os.ErrDeadlineExceeded, net.ErrClosed, ErrNotFound, ErrTorn, io.ErrShortWrite, ErrPending,
}

// System call errors are made once for each code and errno: a peer that resets
// its connections must not cost an allocation each.
var errnos [NumCodes][134]atomic.Pointer[os.SyscallError]

func statusError(c Code, ret int32) error {
	if ret <= int32(EOF) {
		return statuses[int32(EOF)-ret]
	}
	e := int(-ret)
	if e >= len(errnos[c]) {
		return os.NewSyscallError(c.String(), syscall.Errno(e))
	}
	if err := errnos[c][e].Load(); err != nil {
		return err
	}
	err := &os.SyscallError{Syscall: c.String(), Err: syscall.Errno(e)}
	errnos[c][e].Store(err)
	return err
}
