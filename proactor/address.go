package proactor

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// backlog is what Listen asks for; the kernel cuts it to net.core.somaxconn.
const backlog = 1<<16 - 1

// resolve turns network and address into a socket address. Host names are
// looked up for Listen alone, because a lookup blocks.
func resolve(network, address string, lookup bool) (*op.Sockaddr, error) {
	switch network {
	case "unix":
		return op.UnixSockaddr(address)
	case "tcp", "tcp4", "tcp6":
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
	if a := ap.Addr().Unmap(); network != "tcp6" && a.Is4() {
		ap = netip.AddrPortFrom(a, ap.Port())
	}
	if is4 := ap.Addr().Is4(); is4 && network == "tcp6" || !is4 && network == "tcp4" {
		return nil, &net.AddrError{Err: "address is not of network " + network, Addr: address}
	}
	return op.IPSockaddr(ap)
}

// lookupAddr resolves a host name or an empty host, which is the wildcard.
func lookupAddr(network, address string) (netip.AddrPort, error) {
	a, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap := a.AddrPort()
	if a.IP == nil {
		wildcard := netip.IPv6Unspecified()
		if network == "tcp4" {
			wildcard = netip.IPv4Unspecified()
		}
		ap = netip.AddrPortFrom(wildcard, uint16(a.Port))
	}
	return ap, nil
}

// netAddr is the address as package net has it.
func netAddr(sa *op.Sockaddr) net.Addr {
	if sa.Family() == op.AFUnix {
		return &net.UnixAddr{Net: "unix", Name: sa.Path()}
	}
	ap := sa.AddrPort()
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

// opError dresses an error up as package net does.
func opError(what, network, address string, err error) error {
	return fmt.Errorf("proactor: %s %s %s: %w", what, network, address, err)
}
