//go:build linux

package optest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

func packetControl(e *env) {
	e.start()
	c, at := e.packetConn("udp4", "0.0.0.0:0")
	require.NoError(e, c.SetControl(proactor.PacketInfo|proactor.Timestamps|proactor.TrafficClass))
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), at.Port())
	controlled(e, c, to, "udp4")
}

func packetControl6(e *env) {
	e.start()
	c, at := e.packetConn("udp", "[::]:0")
	require.NoError(e, c.SetControl(proactor.PacketInfo|proactor.Timestamps|proactor.TrafficClass))
	controlled(e, c, netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()), "udp6")
	// From IPv4 on the same socket.
	require.NoError(e, c.Close(nil))
	c, at = e.packetConn("udp", "[::]:0")
	require.NoError(e, c.SetControl(proactor.PacketInfo|proactor.Timestamps|proactor.TrafficClass))
	controlled(e, c, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), at.Port()), "udp4")
}

// controlled sends a datagram to c, and compares what its control messages say.
func controlled(e *env, c *proactor.PacketConn, to netip.AddrPort, network string) {
	e.Helper()
	sender, err := e.loop.DialPacket(network, to.String())
	require.NoError(e, err)
	lo, err := net.InterfaceByName("lo")
	require.NoError(e, err)
	type seen struct {
		to      netip.Addr
		ifindex int
		when    time.Time
		tc      int
		ok, cut bool
	}
	got := make(chan seen, 2)
	look := func(control op.Control, cut bool) {
		var s seen
		s.to, s.ifindex = control.PacketInfo()
		s.when = control.Timestamp()
		s.tc, s.ok = control.TrafficClass()
		s.cut = cut
		got <- s
	}
	check := func(before time.Time) {
		s := await(e, got)
		require.Equal(e, to.Addr(), s.to)
		require.Equal(e, lo.Index, s.ifindex)
		require.WithinRange(e, s.when, before.Add(-time.Millisecond), time.Now().Add(time.Millisecond))
		require.True(e, s.ok)
		require.Equal(e, 1, s.tc, "ECT(1)")
		require.False(e, s.cut)
	}
	send := func() time.Time {
		m := &op.Message{Data: []byte("x"), Control: op.Control(nil).AppendTrafficClass(1, network == "udp6")}
		done := make(chan result, 1)
		now := time.Now()
		_, err := sender.SendMsg(m, func(n int, err error) { done <- result{n, err} })
		require.NoError(e, err)
		require.Equal(e, result{1, nil}, await(e, done))
		return now
	}
	// By a message,
	m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, 256)}
	_, err = c.RecvMsg(m, func(n int, err error) {
		_, cut := m.Truncated()
		look(m.Control, cut)
	})
	require.NoError(e, err)
	check(send())
	// and in a Buffer.
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if err == nil {
			_, cut := b.Truncated()
			look(b.Control(), cut)
			b.Release()
		}
	}))
	check(send())
}

func packetSegments(e *env) {
	e.start(proactor.WithBuffers(8, 1<<16+128))
	c, at := e.packetConn("udp4", "127.0.0.1:0")
	peer, pt := e.udpPeer()
	m := &op.Message{Data: bytes.Repeat([]byte("0123456789"), 35), Control: op.Control(nil).AppendSegmentSize(100)}
	require.NoError(e, m.To(pt))
	done := make(chan result, 1)
	_, err := c.SendMsg(m, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	if r := await(e, done); errors.Is(r.err, syscall.EIO) || errors.Is(r.err, syscall.EINVAL) {
		e.Skip("no segmentation of datagrams here: ", r.err)
	} else {
		require.Equal(e, result{350, nil}, r)
	}
	buf := make([]byte, 999)
	for _, want := range []int{100, 100, 100, 50} {
		n, err := peer.Read(buf)
		require.NoError(e, err)
		require.Equal(e, want, n)
	}
	// The other way they stay together.
	if err := c.SetControl(proactor.SegmentSize); err != nil {
		e.Skip("no joining of datagrams here: ", err)
	}
	got := make(chan [2]int, 9)
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if err == nil {
			got <- [2]int{b.Len(), b.Control().SegmentSize()}
			b.Release()
		}
	}))
	d, err := e.loop.DialPacket("udp4", at.String())
	require.NoError(e, err)
	m = &op.Message{Data: m.Data, Control: op.Control(nil).AppendSegmentSize(100)}
	_, err = d.SendMsg(m, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	require.Equal(e, result{350, nil}, await(e, done))
	for sum := 0; sum < 350; { // old kernels take them apart on the way
		x := await(e, got)
		sum += x[0]
		require.True(e, x[0] <= 100 || x[1] == 100, "%d bytes in segments of %d", x[0], x[1])
	}
}

// packetRawControl sends from an address that the socket isn't bound to.
func packetRawControl(e *env) {
	e.start()
	c, _ := e.packetConn("udp4", "0.0.0.0:0")
	peer, pt := e.udpPeer()
	m := &op.Message{Data: []byte("x"), Control: op.Control(nil).AppendPacketInfo(netip.MustParseAddr("127.0.0.9"), 0)}
	require.NoError(e, m.To(pt))
	n, err := e.do(func(o *op.Op) *op.Op { return o.SendMsg(c, m) })
	require.NoError(e, err)
	require.Equal(e, 1, n)
	_, from, err := peer.ReadFromUDPAddrPort(make([]byte, 9))
	require.NoError(e, err)
	require.Equal(e, "127.0.0.9", from.Addr().String())
	n, err = e.do(func(o *op.Op) *op.Op { return o.SendMsgs(c, []op.Message{*m, *m}) })
	require.NoError(e, err)
	require.Equal(e, 2, n)
	for range 2 {
		_, from, err = peer.ReadFromUDPAddrPort(make([]byte, 9))
		require.NoError(e, err)
		require.Equal(e, "127.0.0.9", from.Addr().String())
	}
}
