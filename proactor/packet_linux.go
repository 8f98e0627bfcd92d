package proactor

import (
	"net"
	"net/netip"
	"os"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// connectPacket gives it a peer, which takes no time. A unix socket gets a name of
// the kernel's first, or its peer couldn't answer.
func connectPacket(fd int, sa *op.Sockaddr) error {
	if sa.Family() == op.AFUnix {
		if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	p, n := sa.Raw()
	if _, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(p), n); e != 0 {
		return os.NewSyscallError("connect", e)
	}
	return nil
}

// option is a socket option with a value of 1, and the room that its messages take.
type option struct{ level, name, room int }

var controlOptions = map[ControlKind]struct{ v4, v6 option }{
	PacketInfo:   {option{unix.IPPROTO_IP, unix.IP_PKTINFO, 12}, option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 20}},
	Timestamps:   {option{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 16}, option{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 16}},
	TrafficClass: {option{unix.IPPROTO_IP, unix.IP_RECVTOS, 4}, option{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 4}},
	SegmentSize:  {option{unix.SOL_UDP, unix.UDP_GRO, 4}, option{unix.SOL_UDP, unix.UDP_GRO, 4}},
	Credentials:  {option{unix.SOL_SOCKET, unix.SO_PASSCRED, 12}, option{unix.SOL_SOCKET, unix.SO_PASSCRED, 12}},
	Rights:       {option{room: 4 * 253}, option{room: 4 * 253}},
}

// SetControl asks the kernel for control messages (man 7 ip, ipv6, udp, socket,
// unix), and has the RecvEach that follow give them room. For RecvMsg the room is
// Message.Control; op.ControlSpace tells how much. An IPv6 socket that takes IPv4,
// too, gets those of both.
//
// With SegmentSize, RecvEach needs Buffers of 64 KiB and a little (WithBuffers), and
// refuses smaller ones: what has no room would be lost.
func (c *PacketConn) SetControl(kinds ControlKind) error {
	if c.FD() < 0 {
		return ErrClosed
	}
	room := 0
	for kind, o := range controlOptions {
		if kinds&kind == 0 {
			continue
		}
		all := []option{o.v4}
		if c.family() == unix.AF_INET6 {
			all = []option{o.v6}
			if kind == TrafficClass && !c.only6() {
				all = append(all, o.v4)
			}
		}
		for _, x := range all {
			room += op.ControlSpace(x.room)
			if x.name == 0 {
				continue
			}
			if err := unix.SetsockoptInt(c.FD(), x.level, x.name, 1); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
		}
	}
	c.control.Store(int32(room))
	c.joined.Store(kinds&SegmentSize != 0)
	return nil
}

func (c *PacketConn) family() int {
	f, _ := unix.GetsockoptInt(c.FD(), unix.SOL_SOCKET, unix.SO_DOMAIN)
	return f
}

func (c *PacketConn) only6() bool {
	v, _ := unix.GetsockoptInt(c.FD(), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return v == 1
}

// Join makes the socket receive what is sent to a multicast group on an interface
// (man 7 ip: IP_ADD_MEMBERSHIP; ipv6: IPV6_ADD_MEMBERSHIP); nil lets the kernel
// choose one.
func (c *PacketConn) Join(group netip.Addr, ifi *net.Interface) error {
	return c.member(group, ifi, unix.IP_ADD_MEMBERSHIP, unix.IPV6_JOIN_GROUP)
}

// Leave ends Join.
func (c *PacketConn) Leave(group netip.Addr, ifi *net.Interface) error {
	return c.member(group, ifi, unix.IP_DROP_MEMBERSHIP, unix.IPV6_LEAVE_GROUP)
}

func (c *PacketConn) member(group netip.Addr, ifi *net.Interface, v4, v6 int) error {
	if c.FD() < 0 {
		return ErrClosed
	}
	index := 0
	if ifi != nil {
		index = ifi.Index
	}
	var err error
	if group = group.Unmap(); group.Is4() {
		err = unix.SetsockoptIPMreqn(c.FD(), unix.IPPROTO_IP, v4, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
	} else {
		err = unix.SetsockoptIPv6Mreq(c.FD(), unix.IPPROTO_IPV6, v6, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	}
	return os.NewSyscallError("setsockopt", err)
}

// SetMulticastInterface has datagrams to multicast groups leave by an interface; nil
// leaves it to the kernel again.
func (c *PacketConn) SetMulticastInterface(ifi *net.Interface) error {
	index := 0
	if ifi != nil {
		index = ifi.Index
	}
	var err error
	if c.family() == unix.AF_INET6 {
		err = unix.SetsockoptInt(c.FD(), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)
	} else {
		err = unix.SetsockoptIPMreqn(c.FD(), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)})
	}
	return os.NewSyscallError("setsockopt", err)
}
