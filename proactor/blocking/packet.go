package blocking

import (
	"net"
	"net/netip"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// PacketConn is a datagram socket whose methods block: a net.PacketConn, and with a
// peer, that of Dial, a net.Conn.
type PacketConn struct {
	endpoint
	only4 bool
	unix  bool
}

var (
	_ net.PacketConn = (*PacketConn)(nil)
	_ net.Conn       = (*PacketConn)(nil)
	_ syscall.Conn   = (*PacketConn)(nil)
)

// ListenPacket opens a socket of network "udp", "udp4", "udp6" or "unixgram" at an
// address as package net takes it; it is a *PacketConn. The error is a *net.OpError.
func (n *Net) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.ListenPacketWith(&proactor.ListenConfig{}, network, address)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ListenPacketWith is ListenPacket with options.
func (n *Net) ListenPacketWith(c *proactor.ListenConfig, network, address string) (*PacketConn, error) {
	p, err := c.ListenPacket(n.loop, network, address)
	if err != nil {
		return nil, listenError(network, address, err)
	}
	return n.packetConn(p, network), nil
}

func (n *Net) packetConn(p *proactor.PacketConn, network string) *PacketConn {
	c := &PacketConn{unix: p.State().Unix}
	c.init(n, p, network)
	if a, ok := c.local.(*net.UDPAddr); ok {
		c.only4 = a.IP.To4() != nil
	}
	return c
}

// ReadFrom waits for a datagram and receives it into b (recvmsg(2)); what has no room
// there is lost.
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.readFrom(b, "recvfrom")
	if err != nil {
		return n, nil, err
	}
	if c.unix {
		return n, named(&net.UnixAddr{Net: c.network, Name: from.Path()}), nil
	}
	return n, net.UDPAddrFromAddrPort(unmap(from.AddrPort())), nil
}

// ReadFromUDPAddrPort is ReadFrom without an allocation, for UDP.
func (c *PacketConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.readFrom(b, "recvfrom")
	return n, unmap(from.AddrPort()), err
}

func unmap(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Read is ReadFrom for those who know the sender. An empty b doesn't wait.
func (c *PacketConn) Read(b []byte) (int, error) {
	if len(b) == 0 && !c.gate.isClosed() {
		return 0, nil
	}
	n, _, err := c.readFrom(b, "read")
	return n, err
}

func (c *PacketConn) readFrom(b []byte, call string) (n int, from op.Sockaddr, err error) {
	c.rd.turn.Lock()
	defer c.rd.turn.Unlock()
	w := c.net.waiter()
	defer w.free()
	w.msg.Data = b
	for {
		w.op.RecvMsg(c.sock, &w.msg)
		n, moved, err := c.rd.do(w)
		switch {
		case moved:
		case err != nil:
			return n, from, c.opError("read", systemCall(call, err))
		default:
			return n, w.msg.Peer, nil
		}
	}
}

// WriteTo sends b as one datagram (sendmsg(2)); it waits while the kernel has no room.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := c.writeTo(b, func(sa *op.Sockaddr) error { return c.resolve(sa, to) })
	return n, c.addressed(err, to)
}

// WriteToUDPAddrPort is WriteTo without an allocation for the address, for UDP.
func (c *PacketConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	n, err := c.writeTo(b, func(sa *op.Sockaddr) error { return c.resolveUDP(sa, to) })
	if err != nil {
		err = c.addressed(err, net.UDPAddrFromAddrPort(to))
	}
	return n, err
}

func (c *PacketConn) writeTo(b []byte, resolve func(*op.Sockaddr) error) (int, error) {
	w := c.net.waiter()
	defer w.free()
	err := net.ErrWriteToConnected
	if c.remote == nil {
		err = resolve(&w.msg.Peer)
	}
	if err != nil {
		return 0, err
	}
	n, err := c.send(w, b)
	return n, systemCall("sendto", err)
}

// addressed dresses the error of a WriteTo up.
func (c *PacketConn) addressed(err error, to net.Addr) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: to, Err: err}
}

// resolve makes an address of package net one that the kernel takes.
func (c *PacketConn) resolve(sa *op.Sockaddr, to net.Addr) error {
	switch a := to.(type) {
	case *net.UDPAddr:
		if a != nil && !c.unix {
			return c.resolveUDP(sa, a.AddrPort())
		}
	case *net.UnixAddr:
		if a != nil && c.unix && a.Net == c.network {
			s, err := op.UnixSockaddr(a.Name)
			if err == nil {
				*sa = *s
			}
			return err
		}
		if a != nil && c.unix {
			return syscall.EAFNOSUPPORT
		}
	}
	return syscall.EINVAL
}

// resolveUDP makes an IPv4 address one of IPv6 for a socket of that, and an address
// that isn't said the local system's.
func (c *PacketConn) resolveUDP(sa *op.Sockaddr, to netip.AddrPort) error {
	ip := to.Addr()
	switch {
	case c.unix:
		return syscall.EINVAL
	case !ip.IsValid() && c.only4:
		ip = netip.IPv4Unspecified()
	case !ip.IsValid():
		ip = netip.IPv6Unspecified()
	case c.only4:
		if ip = ip.Unmap(); !ip.Is4() {
			return &net.AddrError{Err: "non-IPv4 address", Addr: ip.String()}
		}
	case ip.Is4():
		ip = netip.AddrFrom16(ip.As16())
	}
	return sa.SetAddrPort(netip.AddrPortFrom(ip, to.Port()))
}

// Write sends b as one datagram to the peer (send(2)); it waits while the kernel has no
// room.
func (c *PacketConn) Write(b []byte) (int, error) {
	w := c.net.waiter()
	defer w.free()
	w.msg.Peer = op.Sockaddr{}
	n, err := c.send(w, b)
	return n, c.opError("write", systemCall("write", err))
}

func (c *PacketConn) send(w *waiter, b []byte) (int, error) {
	c.wr.turn.Lock()
	defer c.wr.turn.Unlock()
	if err := c.wr.overdue(); err != nil {
		return 0, err
	}
	w.msg.Data = b
	w.op.SendMsg(c.sock, &w.msg)
	if n, done, err := c.now(w); done {
		return n, err
	}
	for {
		w.op.SendMsg(c.sock, &w.msg)
		if n, moved, err := c.wr.do(w); !moved {
			return n, err
		}
	}
}
