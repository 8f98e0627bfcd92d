package proactor

import (
	"net"
	"net/netip"
	"os"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// socket returns a socket that is ready to connect to an address.
func (d *Dialer) socket(network string, to *op.Sockaddr) (int, error) {
	fd, err := newSocket(to.Family(), kindOf(network))
	if err != nil {
		return -1, err
	}
	ready := false
	defer func() {
		if !ready { // Control may have panicked
			op.CloseFD(fd)
		}
	}()
	if to.Family() != op.AFUnix {
		if err := d.setTCP(fd); err != nil {
			return -1, err
		}
	}
	if d.Control != nil { // behind our options, so that it can change them
		name, address := controlNames(network, to)
		if err := d.Control(name, address, rawConn(fd)); err != nil {
			return -1, err
		}
	}
	if err := d.bind(fd, to); err != nil {
		return -1, err
	}
	ready = true
	return fd, nil
}

func (d *Dialer) setTCP(fd int) error {
	setNoDelay(fd)
	if d.FastOpen { // where it is switched off the connect is as usual
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1)
	}
	if c := d.keepAlive(); c.Enable {
		return setKeepAlive(fd, c)
	}
	return nil
}

// bind gives the socket the local address.
func (d *Dialer) bind(fd int, to *op.Sockaddr) error {
	sa, err := d.from(to)
	if sa == nil || err != nil {
		return err
	}
	if sa.Family() != op.AFUnix && sa.AddrPort().Port() == 0 {
		// A port is then chosen by connect, which knows the peer: one port serves
		// many of them. Older kernels choose here.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	p, n := sa.Raw()
	if _, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(p), n); e != 0 {
		return os.NewSyscallError("bind", e)
	}
	return nil
}

// from returns the local address to bind to, in the family of the peer's; nil if
// there is none.
func (d *Dialer) from(to *op.Sockaddr) (*op.Sockaddr, error) {
	if a, ok := d.LocalAddr.(*net.UnixAddr); ok {
		if a == nil || a.Name == "" {
			return nil, nil
		}
		return op.UnixSockaddr(a.Name)
	}
	local, err := d.localAddr(to.Family() == op.AFUnix)
	ip := local.Addr()
	if err != nil || !ip.IsValid() && local.Port() == 0 {
		return nil, err
	}
	if !ip.IsValid() || ip.IsUnspecified() {
		ip = netip.IPv6Unspecified()
		if to.Family() == op.AFInet {
			ip = netip.IPv4Unspecified()
		}
	}
	return op.IPSockaddr(netip.AddrPortFrom(ip, local.Port()))
}
