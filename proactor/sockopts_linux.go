package proactor

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The options of a connection are set at once, by a system call that doesn't
// block. On a closed connection the error is ErrClosed. As with FD, the caller sees
// to it that the connection isn't closed meanwhile.

// SetNoDelay sends small pieces at once (true, the default) or lets the kernel
// gather them (TCP_NODELAY).
func (c *Conn) SetNoDelay(on bool) error {
	return c.setOption(unix.IPPROTO_TCP, unix.TCP_NODELAY, flag(on))
}

// SetKeepAlive sets the keep-alive probes of a TCP connection as net.TCPConn's
// SetKeepAliveConfig does: durations of zero are 15 s, a count of zero is 9, and
// what is negative stays as it is.
func (c *Conn) SetKeepAlive(k net.KeepAliveConfig) error {
	fd := c.FD()
	if fd < 0 {
		return ErrClosed
	}
	return setKeepAlive(fd, k)
}

// SetLinger sets what the kernel does with data that is not sent when the
// descriptor is closed: negative, it goes on sending (the default); zero, it drops
// them and resets the connection; else it goes on for at most so many seconds. By
// then the loop has flushed what it had queued: see Close.
func (c *Conn) SetLinger(sec int) error {
	fd := c.FD()
	if fd < 0 {
		return ErrClosed
	}
	l := unix.Linger{Onoff: 1, Linger: int32(sec)}
	if sec < 0 {
		l = unix.Linger{}
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l))
}

// SetReadBuffer sets the size of the kernel's receive buffer in bytes (SO_RCVBUF;
// the kernel doubles it, and has a limit, net.core.rmem_max).
func (c *Conn) SetReadBuffer(bytes int) error {
	return c.setOption(unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
}

// SetWriteBuffer sets the size of the kernel's send buffer in bytes (SO_SNDBUF;
// the kernel doubles it, and has a limit, net.core.wmem_max).
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.setOption(unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
}

// PeerCred returns who is at the other end of a unix socket (SO_PEERCRED), and
// errors.ErrUnsupported on other sockets.
func (c *Conn) PeerCred() (Cred, error) {
	fd := c.FD()
	switch {
	case fd < 0:
		return Cred{}, ErrClosed
	case !c.State().Unix: // on others the kernel answers with nobody
		return Cred{}, errors.ErrUnsupported
	}
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Cred{}, os.NewSyscallError("getsockopt", err)
	}
	return Cred{PID: int(u.Pid), UID: u.Uid, GID: u.Gid}, nil
}

func (c *Conn) setOption(level, option, value int) error {
	fd := c.FD()
	if fd < 0 {
		return ErrClosed
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
}

// setKeepAlive sets the keep-alive probes. The kernel counts in seconds.
func setKeepAlive(fd int, k net.KeepAliveConfig) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, flag(k.Enable))
	for _, o := range [...]struct{ option, value, usual int }{
		{unix.TCP_KEEPIDLE, seconds(k.Idle), 15},
		{unix.TCP_KEEPINTVL, seconds(k.Interval), 15},
		{unix.TCP_KEEPCNT, k.Count, 9},
	} {
		if o.value == 0 {
			o.value = o.usual
		}
		if err == nil && o.value > 0 {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, o.option, o.value)
		}
	}
	return os.NewSyscallError("setsockopt", err)
}

// seconds rounds up, away from zero: what is negative stays it.
func seconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Second - 1) / time.Second)
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
