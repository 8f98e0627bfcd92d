package proactor

import (
	"net"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// ListenConfig has the options of Listen and ListenPacket; the zero ListenConfig
// has the usual ones. Both only read it.
type ListenConfig struct {
	// Backlog is how many connections may wait to be accepted (listen(2)); zero is as
	// many as net.core.somaxconn allows.
	Backlog int
	// ReusePort lets several sockets have the address, if all of them have set it
	// (SO_REUSEPORT, man 7 socket): the kernel deals connections, or senders of
	// datagrams, out among them.
	ReusePort bool
	// FastOpen is how many connections may wait whose SYN brought data (TCP_FASTOPEN,
	// man 7 tcp), where net.ipv4.tcp_fastopen allows it; zero is none.
	FastOpen int
	// Control, if not nil, is called before the socket is bound, with the network,
	// "tcp4" or "tcp6" for "tcp", and the numeric address. Its error ends the call.
	// Only the Control method of c is supported.
	Control func(network, address string, c syscall.RawConn) error
}

// Listen listens on network "tcp", "tcp4", "tcp6", "unix" or "unixpacket", at an
// address as package net takes it; a wildcard of "tcp" takes IPv4 and IPv6. The
// socket is close-on-exec; TCP has SO_REUSEADDR, and TCP_NODELAY on what it accepts.
// It may block for a moment: host names are looked up, and a port that is still
// being released is tried again for 0.1 s. Any goroutine may call it.
func (l *Loop) Listen(network, address string) (*Listener, error) {
	return new(ListenConfig).Listen(l, network, address)
}

// ListenPacket opens a socket of network "udp", "udp4", "udp6" or "unixgram" at an
// address as package net takes it (bind(2)); a wildcard of "udp" takes IPv4 and
// IPv6. It may block for a moment: host names are looked up. Any goroutine may
// call it.
func (l *Loop) ListenPacket(network, address string) (*PacketConn, error) {
	return new(ListenConfig).ListenPacket(l, network, address)
}

// Listen is Loop.Listen with the options.
func (c *ListenConfig) Listen(l *Loop, network, address string) (*Listener, error) {
	ln, err := c.listen(l, network, address)
	if err != nil {
		return nil, opError("listen", network, address, err)
	}
	return ln, nil
}

func (c *ListenConfig) listen(l *Loop, network, address string) (*Listener, error) {
	kind := kindOf(network)
	if kind == op.Packet {
		return nil, net.UnknownNetworkError(network)
	}
	fd, sa, err := c.socket(network, address, kind)
	if err != nil {
		return nil, err
	}
	ln := &Listener{loop: l, addr: netAddr(sa, kind)}
	ln.State().Unix = sa.Family() == op.AFUnix
	if err := l.addHandle(&ln.handle, fd, kind, false); err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	return ln, nil
}

// ListenPacket is Loop.ListenPacket with the options.
func (c *ListenConfig) ListenPacket(l *Loop, network, address string) (*PacketConn, error) {
	p, err := c.listenPacket(l, network, address)
	if err != nil {
		return nil, opError("listen", network, address, err)
	}
	return p, nil
}

func (c *ListenConfig) listenPacket(l *Loop, network, address string) (*PacketConn, error) {
	if kindOf(network) != op.Packet {
		return nil, net.UnknownNetworkError(network)
	}
	fd, sa, err := c.socket(network, address, op.Packet)
	if err != nil {
		return nil, err
	}
	p, err := l.NewPacketConn(fd)
	if err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	if sa.Family() == op.AFUnix && sa.Path() != "" && sa.Path()[0] != '@' {
		p.name = sa.Path()
	}
	return p, nil
}

// socket returns a socket at an address, which listens if it is to, and the address
// that it has come to.
func (c *ListenConfig) socket(network, address string, k op.Kind) (int, *op.Sockaddr, error) {
	sa, err := resolve(network, address, true)
	if err != nil {
		return -1, nil, err
	}
	fd, err := newSocket(sa.Family(), k)
	if err != nil {
		return -1, nil, err
	}
	ready := false
	defer func() {
		if !ready { // Control may have panicked
			op.CloseFD(fd)
		}
	}()
	if err = c.prepare(fd, sa, network, k); err != nil {
		return -1, nil, err
	}
	if c.Control != nil { // behind our options, so that it can change them
		name, where := controlNames(network, sa)
		if err = c.Control(name, where, rawConn(fd)); err != nil {
			return -1, nil, err
		}
	}
	if err = c.bind(fd, sa, k); err != nil {
		return -1, nil, err
	}
	at, err := socketName(fd, false)
	if err != nil {
		return -1, nil, err
	}
	ready = true
	return fd, at, nil
}

// controlNames returns what a Control function is told.
func controlNames(network string, sa *op.Sockaddr) (name, address string) {
	if sa.Family() == op.AFUnix {
		return network, sa.Path()
	}
	family := "6"
	if sa.Family() == op.AFInet {
		family = "4"
	}
	if last := network[len(network)-1]; last != '4' && last != '6' {
		network += family
	}
	return network, sa.AddrPort().String()
}
