package main

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// The PROXY protocol tells a backend who is at the other end of the proxy: one header
// before all else, as a line of text (version 1) or in binary (version 2).
// https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt

// maxHeader is the longest that appendHeader makes: a line with two IPv6 addresses.
const maxHeader = 107

// signature begins version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Of version 2: the version with the command PROXY, and the families.
const (
	proxied = 0x21
	unspec  = 0x00
	tcp4    = 0x11
	tcp6    = 0x21
)

// appendHeader appends the header for a connection from src to dst; what aren't two IP
// addresses of one family is unknown to the backend, as a unix socket's are.
func appendHeader(b []byte, version int, src, dst netip.AddrPort) []byte {
	if src.Addr().Is4() != dst.Addr().Is4() || !src.IsValid() || !dst.IsValid() {
		src = netip.AddrPort{}
	}
	if version == 1 {
		return appendText(b, src, dst)
	}
	return appendBinary(b, src, dst)
}

func appendText(b []byte, src, dst netip.AddrPort) []byte {
	if !src.IsValid() {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	family := "TCP6 "
	if src.Addr().Is4() {
		family = "TCP4 "
	}
	b = append(append(b, "PROXY "...), family...)
	b = src.Addr().WithZone("").AppendTo(b)
	b = append(b, ' ')
	b = dst.Addr().WithZone("").AppendTo(b)
	b = appendNumber(append(b, ' '), src.Port())
	b = appendNumber(append(b, ' '), dst.Port())
	return append(b, "\r\n"...)
}

func appendNumber(b []byte, n uint16) []byte {
	if n >= 10 {
		b = appendNumber(b, n/10)
	}
	return append(b, '0'+byte(n%10))
}

func appendBinary(b []byte, src, dst netip.AddrPort) []byte {
	b = append(b, signature...)
	b = append(b, proxied)
	if !src.IsValid() {
		return append(b, unspec, 0, 0)
	}
	family, n := byte(tcp6), 36
	if src.Addr().Is4() {
		family, n = tcp4, 12
	}
	b = binary.BigEndian.AppendUint16(append(b, family), uint16(n))
	b = append(b, src.Addr().AsSlice()...)
	b = append(b, dst.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	return binary.BigEndian.AppendUint16(b, dst.Port())
}

// addrPort returns the IP address and port of a socket's address, invalid if it has
// none.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
