package proactor

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// prepare sets the options of a socket that is to be bound.
func (c *ListenConfig) prepare(fd int, sa *op.Sockaddr, network string, k op.Kind) error {
	set := func(level, name, value int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
	}
	var errs []error
	if sa.Family() == op.AFInet6 { // a wildcard takes IPv4, too, unless IPv6 was asked for
		only6 := 0
		if network == "tcp6" || network == "udp6" || !sa.AddrPort().Addr().IsUnspecified() {
			only6 = 1
		}
		_ = set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only6)
	}
	switch {
	case sa.Family() == op.AFUnix:
	case k == op.Socket:
		errs = append(errs, set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
		setNoDelay(fd) // accepted sockets inherit it
	case sa.AddrPort().Addr().IsMulticast(): // several programs may listen to a group
		errs = append(errs, set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	}
	if c.ReusePort {
		errs = append(errs, set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	if c.FastOpen > 0 && k == op.Socket && sa.Family() != op.AFUnix {
		errs = append(errs, set(unix.IPPROTO_TCP, unix.TCP_FASTOPEN, c.FastOpen))
	}
	return errors.Join(errs...)
}

// bind gives the socket its address, and has it listen unless it is for datagrams.
func (c *ListenConfig) bind(fd int, sa *op.Sockaddr, k op.Kind) error {
	if err := bind(fd, sa); err != nil || k == op.Packet {
		return err
	}
	n := c.Backlog
	if n <= 0 {
		n = backlog
	}
	return os.NewSyscallError("listen", unix.Listen(fd, n))
}

// bind retries for 0.1 s: after a process with a ring was killed, the kernel
// ends its listener some milliseconds later than its process.
func bind(fd int, sa *op.Sockaddr) error {
	p, n := sa.Raw()
	for try := 0; ; try++ {
		_, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(p), n)
		if e == 0 {
			return nil
		}
		if e != unix.EADDRINUSE || sa.Family() == op.AFUnix || try == 10 {
			return os.NewSyscallError("bind", e)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// rawConn is a socket as Control functions get it.
type rawConn int

var _ syscall.RawConn = rawConn(0)

func (c rawConn) Control(f func(fd uintptr)) error {
	f(uintptr(c))
	return nil
}

func (rawConn) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

func (rawConn) Write(func(uintptr) bool) error { return errors.ErrUnsupported }
