package op

import (
	"errors"
	"fmt"
)

// Code names what an operation does. The zero Code is no operation.
type Code uint8

// The operation codes. Each has a row in the table below, a verb on Op of the
// same name, an encoding in ring/encode.go, a system call in attempt_linux.go
// and a conformance test; TestTableIsComplete checks it.
const (
	None Code = iota
	Nop
	Accept
	Connect
	Recv
	Recvv
	Send
	Sendv
	Shutdown
	Close
	ReadAt
	ReadvAt
	WriteAt
	WritevAt
	Fsync
	Fdatasync
	OpenAt
	Poll
	Timeout
	Cancel
	AcceptEach
	RecvEach
	RecvMsg
	SendMsg
	RecvMsgEach
	SendMsgs
	StatxAt
	OpenAt2
	UnlinkAt
	RenameAt
	MkdirAt
	LinkAt
	SymlinkAt
	Ftruncate
	Fallocate
	Fadvise
	SyncFileRange
	Work
	Madvise
	Getxattr
	Setxattr
	Listxattr
	Removexattr
	Preadv2
	Pwritev2
	Getdents
	CopyFileRange
	SendFile
	SpliceIn
	SpliceOut
	Tee
	SendZC
	WaitID
	FutexWait
	FutexWake

	NumCodes // how many codes there are; not an operation
)

// Line says in which of a handle's two lines an operation waits its turn.
// Operations in one line run one after the other (rule 3 of the contract).
type Line uint8

// The lines.
const (
	NoLine  Line = iota // starts at once, in no order
	InLine              // receives and accepts
	OutLine             // connect, sends, shutdown
)

// Way says how an operation is executed where the kernel offers no completion
// for it: on the epoll engine always, on the ring when its kernel lacks the
// opcode.
type Way uint8

// The ways.
const (
	ByLoop      Way = iota // the loop itself: no system call
	Inline                 // a system call that doesn't block
	ByReadiness            // try, and after EAGAIN wait for the descriptor
	ByWorker               // a blocking system call on a worker
	ByRing                 // not at all: see Code.Unsupported
)

// Shape says how the loop reads the result of one attempt.
type Shape uint8

// The shapes.
const (
	Plain  Shape = iota // the attempt's result is the operation's
	Some                // at least one byte; zero bytes are the end of the stream
	Whole               // goes on until everything has moved
	Opened              // the result is a new descriptor
)

// Version is a kernel version.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Info is a row of the table of operations.
type Info struct {
	Name   string  // as its man page calls it
	Man    string  // the man page it wraps
	Kernel Version // the first kernel whose io_uring has it; 0.0: needs no opcode
	Line   Line
	Way    Way
	Shape  Shape
	Write  bool // waits for writability (else readability), and moves data out
	Vector bool // names a [][]byte
	Multi  bool // multishot: one submission, many completions
	Handle bool // needs a handle
	At     bool // works at an offset of a file
	Second bool // may name a second handle: Args.Dir2
}

var table = [NumCodes]Info{
	Nop:       {Name: "nop", Man: "io_uring_prep_nop(3)", Kernel: Version{5, 1}, Way: Inline},
	Accept:    {Name: "accept", Man: "accept4(2)", Kernel: Version{5, 5}, Line: InLine, Way: ByReadiness, Shape: Opened, Handle: true},
	Connect:   {Name: "connect", Man: "connect(2)", Kernel: Version{5, 5}, Line: OutLine, Way: ByReadiness, Write: true, Handle: true},
	Recv:      {Name: "recv", Man: "recv(2)", Kernel: Version{5, 6}, Line: InLine, Way: ByReadiness, Shape: Some, Handle: true},
	Recvv:     {Name: "recvv", Man: "recvmsg(2)", Kernel: Version{5, 3}, Line: InLine, Way: ByReadiness, Shape: Some, Vector: true, Handle: true},
	Send:      {Name: "send", Man: "send(2)", Kernel: Version{5, 6}, Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Handle: true},
	Sendv:     {Name: "sendv", Man: "sendmsg(2)", Kernel: Version{5, 3}, Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Vector: true, Handle: true},
	Shutdown:  {Name: "shutdown", Man: "shutdown(2)", Kernel: Version{5, 11}, Line: OutLine, Way: Inline, Handle: true},
	Close:     {Name: "close", Man: "close(2)", Kernel: Version{5, 6}, Way: ByWorker, Handle: true},
	ReadAt:    {Name: "read", Man: "pread(2)", Kernel: Version{5, 6}, Way: ByWorker, Shape: Whole, Handle: true, At: true},
	ReadvAt:   {Name: "readv", Man: "preadv(2)", Kernel: Version{5, 1}, Way: ByWorker, Shape: Whole, Vector: true, Handle: true, At: true},
	WriteAt:   {Name: "write", Man: "pwrite(2)", Kernel: Version{5, 6}, Way: ByWorker, Shape: Whole, Write: true, Handle: true, At: true},
	WritevAt:  {Name: "writev", Man: "pwritev(2)", Kernel: Version{5, 1}, Way: ByWorker, Shape: Whole, Write: true, Vector: true, Handle: true, At: true},
	Fsync:     {Name: "fsync", Man: "fsync(2)", Kernel: Version{5, 1}, Way: ByWorker, Handle: true},
	Fdatasync: {Name: "fdatasync", Man: "fdatasync(2)", Kernel: Version{5, 1}, Way: ByWorker, Handle: true},
	OpenAt:    {Name: "openat", Man: "openat(2)", Kernel: Version{5, 6}, Way: ByWorker, Shape: Opened},
	Poll:      {Name: "poll", Man: "poll(2)", Kernel: Version{5, 1}, Way: ByReadiness, Handle: true},
	Timeout:   {Name: "timeout", Man: "clock_gettime(2)", Way: ByLoop},
	Cancel:    {Name: "cancel", Man: "io_uring_prep_cancel(3)", Way: ByLoop},

	AcceptEach: {Name: "accept each", Man: "accept4(2)", Kernel: Version{5, 19}, Line: InLine, Way: ByReadiness, Shape: Opened, Multi: true, Handle: true},
	RecvEach:   {Name: "recv each", Man: "recv(2)", Kernel: Version{6, 0}, Line: InLine, Way: ByReadiness, Shape: Some, Multi: true, Handle: true},

	RecvMsg:     {Name: "recvmsg", Man: "recvmsg(2)", Kernel: Version{5, 3}, Line: InLine, Way: ByReadiness, Shape: Some, Handle: true},
	SendMsg:     {Name: "sendmsg", Man: "sendmsg(2)", Kernel: Version{5, 3}, Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Handle: true},
	RecvMsgEach: {Name: "recvmsg each", Man: "recvmmsg(2)", Kernel: Version{6, 0}, Line: InLine, Way: ByReadiness, Shape: Some, Multi: true, Handle: true},
	SendMsgs:    {Name: "sendmmsg", Man: "sendmmsg(2)", Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Handle: true},

	StatxAt:       {Name: "statx", Man: "statx(2)", Kernel: Version{5, 6}, Way: ByWorker},
	OpenAt2:       {Name: "openat2", Man: "openat2(2)", Kernel: Version{5, 6}, Way: ByWorker, Shape: Opened},
	UnlinkAt:      {Name: "unlinkat", Man: "unlinkat(2)", Kernel: Version{5, 11}, Way: ByWorker},
	RenameAt:      {Name: "renameat2", Man: "renameat2(2)", Kernel: Version{5, 11}, Way: ByWorker, Second: true},
	MkdirAt:       {Name: "mkdirat", Man: "mkdirat(2)", Kernel: Version{5, 15}, Way: ByWorker},
	LinkAt:        {Name: "linkat", Man: "linkat(2)", Kernel: Version{5, 15}, Way: ByWorker, Second: true},
	SymlinkAt:     {Name: "symlinkat", Man: "symlinkat(2)", Kernel: Version{5, 15}, Way: ByWorker},
	Ftruncate:     {Name: "ftruncate", Man: "ftruncate(2)", Kernel: Version{6, 9}, Way: ByWorker, Handle: true},
	Fallocate:     {Name: "fallocate", Man: "fallocate(2)", Kernel: Version{5, 6}, Way: ByWorker, Handle: true},
	Fadvise:       {Name: "fadvise", Man: "posix_fadvise(2)", Kernel: Version{5, 6}, Way: ByWorker, Handle: true},
	Work:          {Name: "work", Man: "-", Way: ByWorker},
	SyncFileRange: {Name: "sync_file_range", Man: "sync_file_range(2)", Kernel: Version{5, 2}, Way: ByWorker, Handle: true},
	Madvise:       {Name: "madvise", Man: "madvise(2)", Kernel: Version{5, 6}, Way: ByWorker},
	Getxattr:      {Name: "getxattr", Man: "getxattr(2)", Kernel: Version{5, 19}, Way: ByWorker},
	Setxattr:      {Name: "setxattr", Man: "setxattr(2)", Kernel: Version{5, 19}, Way: ByWorker},
	Listxattr:     {Name: "listxattr", Man: "listxattr(2)", Way: ByWorker},
	Removexattr:   {Name: "removexattr", Man: "removexattr(2)", Way: ByWorker},
	Preadv2:       {Name: "preadv2", Man: "preadv2(2)", Kernel: Version{5, 1}, Way: ByWorker, Shape: Whole, Vector: true, Handle: true, At: true},
	Pwritev2:      {Name: "pwritev2", Man: "pwritev2(2)", Kernel: Version{5, 1}, Way: ByWorker, Shape: Whole, Write: true, Vector: true, Handle: true, At: true},
	Getdents:      {Name: "getdents64", Man: "getdents64(2)", Way: ByWorker, Handle: true},
	CopyFileRange: {Name: "copy_file_range", Man: "copy_file_range(2)", Way: ByWorker, Shape: Whole, Handle: true, Second: true},

	// A ring has splice and tee, and gives each to a kernel thread, which costs more
	// than the call: what doesn't block is called, what would waits for readiness.
	SendFile:  {Name: "sendfile", Man: "sendfile(2)", Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Handle: true, Second: true},
	SpliceIn:  {Name: "splice in", Man: "splice(2)", Line: InLine, Way: ByReadiness, Shape: Some, Handle: true},
	SpliceOut: {Name: "splice out", Man: "splice(2)", Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Handle: true},
	Tee:       {Name: "tee", Man: "tee(2)", Way: Inline},
	SendZC:    {Name: "send_zc", Man: "io_uring_prep_send_zc(3)", Kernel: Version{6, 0}, Line: OutLine, Way: ByReadiness, Shape: Whole, Write: true, Handle: true},

	WaitID:    {Name: "waitid", Man: "waitid(2)", Kernel: Version{6, 7}, Line: InLine, Way: ByReadiness, Handle: true},
	FutexWait: {Name: "futex wait", Man: "futex(2)", Kernel: Version{6, 7}, Way: ByRing},
	FutexWake: {Name: "futex wake", Man: "futex(2)", Kernel: Version{6, 7}, Way: Inline},
}

// Info returns the table's row of c. It panics on a Code that isn't in the table.
func (c Code) Info() *Info { return &table[c] }

// Elsewhere says in a few words how an operation is executed where no io_uring does
// it: on the epoll engine, or on the ring of an older kernel.
func (c Code) Elsewhere() string {
	switch i := c.Info(); {
	case i.Way == ByLoop:
		return "the loop itself"
	case i.Way == ByRing:
		return "not at all: Loop.Supports tells"
	case i.Way == Inline:
		return "a system call"
	case i.Way == ByReadiness && c == Poll:
		return "readiness"
	case c == SendFile:
		return "tried, then readiness; a worker reads what the page cache hasn't"
	case i.Way == ByReadiness:
		return "tried, then readiness"
	case i.At && !i.Write && c != Preadv2:
		return "tried in the page cache, then a worker"
	case c == OpenAt2:
		return "a worker; with O_NONBLOCK tried in the cache of names"
	case c == Close:
		return "a worker; sockets and pipes: a system call"
	}
	return "a worker"
}

// Unsupported is what an engine that doesn't execute c by io_uring says of it: nil if
// c is executed in another way, else an error that is errors.ErrUnsupported.
func (c Code) Unsupported() error {
	if i := c.Info(); i.Way == ByRing {
		return fmt.Errorf("proactor: %s needs io_uring of Linux %v: %w", i.Name, i.Kernel, errors.ErrUnsupported)
	}
	return nil
}

func (c Code) String() string {
	if c == None || c >= NumCodes {
		return fmt.Sprintf("code(%d)", uint8(c))
	}
	return table[c].Name
}
