package op

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"time"
	"unsafe"
)

// Control is a sequence of control messages (cmsg(3)), as the kernel lays them
// out. What a socket is to receive must be asked for by a socket option; see
// PacketConn.SetControl.
type Control []byte

// ControlMessage is one of them. Its data is a part of the Control's memory.
type ControlMessage struct {
	Level, Type int
	Data        []byte
}

// Levels and types of control messages, as Linux numbers them.
const (
	solIP   = 0
	solIPv6 = 41
	solUDP  = 17

	scmRights        = 1
	scmCredentials   = 2
	scmTimestampns   = 35
	scmTimestampns64 = 64
	ipTOS            = 1
	ipPktinfo        = 8
	ipv6Pktinfo      = 50
	ipv6Tclass       = 67
	udpSegment       = 103
	udpGRO           = 104
)

const (
	word       = int(unsafe.Sizeof(uintptr(0)))
	cmsgHeader = word + 8
)

func align(n int) int { return (n + word - 1) &^ (word - 1) }

// ControlSpace returns the room, in bytes, that a control message with n bytes of
// data takes: CMSG_SPACE.
func ControlSpace(n int) int { return cmsgHeader + align(n) }

// All returns the control messages, up to the first that makes no sense.
func (c Control) All() iter.Seq[ControlMessage] {
	return func(yield func(ControlMessage) bool) {
		for len(c) >= cmsgHeader {
			n := cmsgLen(c)
			if n < cmsgHeader || n > len(c) {
				return
			}
			m := ControlMessage{
				Level: int(int32(binary.NativeEndian.Uint32(c[word:]))),
				Type:  int(int32(binary.NativeEndian.Uint32(c[word+4:]))),
				Data:  c[cmsgHeader:n:n],
			}
			if !yield(m) {
				return
			}
			c = c[min(align(n), len(c)):]
		}
	}
}

func cmsgLen(c Control) int {
	if word == 4 {
		return int(binary.NativeEndian.Uint32(c))
	}
	return int(min(binary.NativeEndian.Uint64(c), 1<<31))
}

func (c Control) find(level, kind, size int) []byte {
	for m := range c.All() {
		if m.Level == level && m.Type == kind && len(m.Data) >= size {
			return m.Data
		}
	}
	return nil
}

// Append adds a control message.
func (c Control) Append(level, kind int, data []byte) Control {
	n := cmsgHeader + len(data)
	if word == 4 {
		c = binary.NativeEndian.AppendUint32(c, uint32(n))
	} else {
		c = binary.NativeEndian.AppendUint64(c, uint64(n))
	}
	c = binary.NativeEndian.AppendUint32(c, uint32(level))
	c = binary.NativeEndian.AppendUint32(c, uint32(kind))
	c = append(c, data...)
	return append(c, make([]byte, align(n)-n)...)
}

// AppendRights adds descriptors to be sent over a unix socket (man 7 unix). They
// stay the caller's, and must be open until the send's callback.
func (c Control) AppendRights(fds ...int) Control {
	b := make([]byte, 0, 4*len(fds))
	for _, fd := range fds {
		b = binary.NativeEndian.AppendUint32(b, uint32(fd))
	}
	return c.Append(solSocket, scmRights, b)
}

func (c Control) rights() (fds []int) {
	for m := range c.All() {
		if m.Level != solSocket || m.Type != scmRights {
			continue
		}
		for b := m.Data; len(b) >= 4; b = b[4:] {
			fds = append(fds, int(int32(binary.NativeEndian.Uint32(b))))
		}
	}
	return fds
}

func (c Control) hasRights() bool { return c.find(solSocket, scmRights, 4) != nil }

// Credentials returns who sent the message, on a unix socket with SO_PASSCRED.
func (c Control) Credentials() (pid int, uid, gid uint32, ok bool) {
	b := c.find(solSocket, scmCredentials, 12)
	if b == nil {
		return 0, 0, 0, false
	}
	u := binary.NativeEndian.Uint32
	return int(int32(u(b))), u(b[4:]), u(b[8:]), true
}

// Timestamp returns when the kernel received the message (man 7 socket,
// SO_TIMESTAMPNS); the zero Time if it doesn't say.
func (c Control) Timestamp() time.Time {
	if b := c.find(solSocket, scmTimestampns64, 16); b != nil {
		return time.Unix(int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:])))
	}
	b := c.find(solSocket, scmTimestampns, 2*word)
	switch {
	case b == nil:
		return time.Time{}
	case word == 4:
		return time.Unix(int64(int32(binary.NativeEndian.Uint32(b))), int64(int32(binary.NativeEndian.Uint32(b[4:]))))
	}
	return time.Unix(int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:])))
}

// PacketInfo returns the address that a datagram was sent to, and the index of
// the interface that it came by (man 7 ip, IP_PKTINFO; ipv6, IPV6_PKTINFO); an
// invalid Addr if it doesn't say.
func (c Control) PacketInfo() (to netip.Addr, ifindex int) {
	if b := c.find(solIP, ipPktinfo, 12); b != nil {
		return netip.AddrFrom4([4]byte(b[8:12])), int(binary.NativeEndian.Uint32(b))
	}
	if b := c.find(solIPv6, ipv6Pktinfo, 20); b != nil {
		return netip.AddrFrom16([16]byte(b)).Unmap(), int(binary.NativeEndian.Uint32(b[16:]))
	}
	return netip.Addr{}, 0
}

// AppendPacketInfo has a datagram leave from the address, and by the interface
// with the index; 0 leaves that to the kernel. An IPv6 socket takes IPv6 addresses.
func (c Control) AppendPacketInfo(from netip.Addr, ifindex int) Control {
	if from.Is4() {
		var b [12]byte // struct in_pktinfo; on the stack, as a server does this for each datagram
		binary.NativeEndian.PutUint32(b[:], uint32(ifindex))
		*(*[4]byte)(b[4:]) = from.As4()
		return c.Append(solIP, ipPktinfo, b[:])
	}
	var b [20]byte
	*(*[16]byte)(b[:]) = from.As16()
	binary.NativeEndian.PutUint32(b[16:], uint32(ifindex))
	return c.Append(solIPv6, ipv6Pktinfo, b[:])
}

// TrafficClass returns the byte of the IP header with the differentiated services
// and, in its two lowest bits, the explicit congestion notification (RFC 3168).
func (c Control) TrafficClass() (tc int, ok bool) {
	if b := c.find(solIP, ipTOS, 1); b != nil {
		return int(b[0]), true
	}
	if b := c.find(solIPv6, ipv6Tclass, 4); b != nil {
		return int(binary.NativeEndian.Uint32(b)), true
	}
	return 0, false
}

// AppendTrafficClass sets that byte of a datagram over IPv6, or over IPv4.
func (c Control) AppendTrafficClass(tc int, ipv6 bool) Control {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(tc))
	if ipv6 {
		return c.Append(solIPv6, ipv6Tclass, b[:])
	}
	return c.Append(solIP, ipTOS, b[:])
}

// SegmentSize returns, on a UDP socket with UDP_GRO, the size of the datagrams
// that the kernel has put together into one message, in bytes; the last may be
// shorter. 0 is a single datagram.
func (c Control) SegmentSize() int {
	b := c.find(solUDP, udpGRO, 4)
	if b == nil {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(b)))
}

// AppendSegmentSize has the kernel cut the message into datagrams of n bytes, at
// most 64 (UDP_SEGMENT, Linux 4.18).
func (c Control) AppendSegmentSize(n int) Control {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], uint16(n))
	return c.Append(solUDP, udpSegment, b[:])
}
