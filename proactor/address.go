package proactor

import (
	"net"
	"net/netip"
	"strings"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// backlog is what Listen asks for; the kernel cuts it to net.core.somaxconn.
const backlog = 1<<16 - 1

// resolve turns network and address into a socket address. Host names are
// looked up for Listen alone, because a lookup blocks.
func resolve(network, address string, lookup bool) (*op.Sockaddr, error) {
	switch network {
	case "unix", "unixpacket", "unixgram":
		return op.UnixSockaddr(address)
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil && lookup {
		ap, err = lookupAddr(network, address)
	}
	if err != nil {
		return nil, err
	}
	only4, only6 := strings.HasSuffix(network, "4"), strings.HasSuffix(network, "6")
	if a := ap.Addr().Unmap(); !only6 && a.Is4() {
		ap = netip.AddrPortFrom(a, ap.Port())
	}
	if is4 := ap.Addr().Is4(); is4 && only6 || !is4 && only4 {
		return nil, &net.AddrError{Err: "address is not of network " + network, Addr: address}
	}
	return op.IPSockaddr(ap)
}

// lookupAddr resolves a host name or an empty host, which is the wildcard.
func lookupAddr(network, address string) (netip.AddrPort, error) {
	ap, err := resolveAddr(network, address)
	if err == nil && !ap.Addr().IsValid() {
		wildcard := netip.IPv6Unspecified()
		if strings.HasSuffix(network, "4") {
			wildcard = netip.IPv4Unspecified()
		}
		ap = netip.AddrPortFrom(wildcard, ap.Port())
	}
	return ap, err
}

func resolveAddr(network, address string) (netip.AddrPort, error) {
	if kindOf(network) == op.Packet {
		a, err := net.ResolveUDPAddr(network, address)
		if err != nil {
			return netip.AddrPort{}, err
		}
		return a.AddrPort(), nil
	}
	a, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return a.AddrPort(), nil
}

// kindOf returns what sort of socket a network has.
func kindOf(network string) op.Kind {
	switch network {
	case "unixpacket":
		return op.Seqpacket
	case "udp", "udp4", "udp6", "unixgram":
		return op.Packet
	}
	return op.Socket
}

// netAddr is the address of a socket as package net has it.
func netAddr(sa *op.Sockaddr, k op.Kind) net.Addr {
	if sa.Family() == op.AFUnix {
		names := [...]string{op.Socket: "unix", op.Packet: "unixgram", op.Seqpacket: "unixpacket"}
		return &net.UnixAddr{Net: names[k], Name: sa.Path()}
	}
	ap := sa.AddrPort()
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	if k == op.Packet {
		return net.UDPAddrFromAddrPort(ap)
	}
	return net.TCPAddrFromAddrPort(ap)
}

// opError dresses an error up as package net does.
func opError(what, network, address string, err error) error {
	return &addressError{what, network, address, err}
}

type addressError struct {
	what, network, address string
	err                    error
}

func (e *addressError) Error() string {
	return "proactor: " + e.what + " " + e.network + " " + e.address + ": " + e.err.Error()
}

func (e *addressError) Unwrap() error { return e.err }

// Address returns the address that it happened at: of a name that was looked up, the
// one of its addresses that was tried. Package blocking asks for it.
func (e *addressError) Address() string { return e.address }
