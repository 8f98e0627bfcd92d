package op

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"unsafe"
)

// Sockaddr is a socket address as Linux's system calls take it: sockaddr_in,
// sockaddr_in6 or sockaddr_un (man 7 ip, ipv6, unix).
type Sockaddr struct {
	raw [112]byte // family in host order, the rest as the family has it
	n   uint32
}

// The address families, as Linux numbers them.
const (
	AFUnix  = 1
	AFInet  = 2
	AFInet6 = 10
)

// ErrAddress says that an address can't be expressed as a Sockaddr.
var ErrAddress = errors.New("proactor: unusable socket address")

// IPSockaddr returns the address of an IP endpoint. An IPv4 address mapped into
// IPv6 stays IPv6; a zone is an interface's name or number.
func IPSockaddr(ap netip.AddrPort) (*Sockaddr, error) {
	s := new(Sockaddr)
	if err := s.SetAddrPort(ap); err != nil {
		return nil, err
	}
	return s, nil
}

// SetAddrPort makes s the address of an IP endpoint, as IPSockaddr does.
func (s *Sockaddr) SetAddrPort(ap netip.AddrPort) error {
	a := ap.Addr()
	switch {
	case a.Is4():
		b := a.As4()
		copy(s.raw[4:], b[:])
		clear(s.raw[8:16])
		s.setFamily(AFInet, 16)
	case a.Is6():
		scope, err := scopeID(a.Zone())
		if err != nil {
			return err
		}
		b := a.As16()
		clear(s.raw[4:8])
		copy(s.raw[8:], b[:])
		binary.NativeEndian.PutUint32(s.raw[24:], scope)
		s.setFamily(AFInet6, 28)
	default:
		return ErrAddress
	}
	binary.BigEndian.PutUint16(s.raw[2:], ap.Port())
	return nil
}

func scopeID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(ifi.Index), nil
}

// UnixSockaddr returns the address of a unix socket. A leading '@' or NUL makes
// it an abstract name, as in package net.
func UnixSockaddr(path string) (*Sockaddr, error) {
	s := new(Sockaddr)
	if len(path) > 107 {
		return nil, ErrAddress
	}
	copy(s.raw[2:], path)
	switch {
	case path == "":
		s.setFamily(AFUnix, 2)
	case path[0] == '@' || path[0] == 0:
		s.raw[2] = 0
		s.setFamily(AFUnix, 2+len(path))
	default:
		s.setFamily(AFUnix, 3+len(path))
	}
	return s, nil
}

func (s *Sockaddr) setFamily(f uint16, n int) {
	binary.NativeEndian.PutUint16(s.raw[:], f)
	s.n = uint32(n)
}

// Family returns the address family.
func (s *Sockaddr) Family() int { return int(binary.NativeEndian.Uint16(s.raw[:])) }

// Raw returns the bytes for a system call and their number. They stay part of s.
func (s *Sockaddr) Raw() (unsafe.Pointer, uintptr) { return unsafe.Pointer(&s.raw), uintptr(s.n) }

// IsZero reports whether s is no address.
func (s *Sockaddr) IsZero() bool { return s.n == 0 }

// set makes s the address that the kernel wrote: room is what it says it needed.
func (s *Sockaddr) set(b []byte, room uint32) {
	s.n = uint32(copy(s.raw[:], b[:min(int(room), len(b))]))
}

// Buffer returns room for an address and its length, for a system call to fill.
func (s *Sockaddr) Buffer() (unsafe.Pointer, *uint32) {
	s.n = uint32(len(s.raw))
	return unsafe.Pointer(&s.raw), &s.n
}

// AddrPort returns the IP endpoint; invalid if the address is of another family.
func (s *Sockaddr) AddrPort() netip.AddrPort {
	if s.n == 0 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(s.raw[2:])
	switch s.Family() {
	case AFInet:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:8])), port)
	case AFInet6:
		a := netip.AddrFrom16([16]byte(s.raw[8:24]))
		if scope := binary.NativeEndian.Uint32(s.raw[24:]); scope != 0 {
			a = a.WithZone(zoneName(scope))
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

func zoneName(scope uint32) string {
	if ifi, err := net.InterfaceByIndex(int(scope)); err == nil {
		return ifi.Name
	}
	return strconv.FormatUint(uint64(scope), 10)
}

// Path returns the name of a unix socket, an abstract one with a leading '@'.
func (s *Sockaddr) Path() string {
	if s.Family() != AFUnix || s.n <= 2 {
		return ""
	}
	b := s.raw[2:min(int(s.n), len(s.raw))]
	if b[0] == 0 {
		return "@" + string(b[1:])
	}
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
