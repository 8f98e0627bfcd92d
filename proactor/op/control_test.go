package op

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// The layouts are those of struct in_pktinfo (man 7 ip) and in6_pktinfo (man 7 ipv6).
func TestPacketInfoIsLaidOutAsTheKernelHasIt(t *testing.T) {
	v4 := Control(nil).AppendPacketInfo(netip.MustParseAddr("192.0.2.7"), 3)
	require.Len(t, v4, ControlSpace(12))
	data := v4.find(solIP, ipPktinfo, 12)
	require.Equal(t, []byte{192, 0, 2, 7, 0, 0, 0, 0}, data[4:12], "the address to leave from is the first")
	_, ifindex := v4.PacketInfo()
	require.Equal(t, 3, ifindex)

	from := netip.MustParseAddr("2001:db8::7")
	v6 := Control(nil).AppendPacketInfo(from, 4)
	require.Len(t, v6, ControlSpace(20))
	to, ifindex := v6.PacketInfo()
	require.Equal(t, from, to)
	require.Equal(t, 4, ifindex)
}

func TestAppendingToRoomAllocatesNothing(t *testing.T) {
	room := make(Control, 0, 256)
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		room = room[:0].AppendPacketInfo(v4, 1).AppendPacketInfo(v6, 2).AppendSegmentSize(1200).AppendTrafficClass(2, true)
	}))
}
