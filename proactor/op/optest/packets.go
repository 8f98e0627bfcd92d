//go:build linux

package optest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

// The tests of datagrams: messages keep their bounds, and each has a sender.
var packetTests = []test{
	{"Packet_EachIsReceivedWithItsSender", packetSender},
	{"Packet_ATooLongOneIsCut", packetCut},
	{"Packet_AnEmptyOneArrives", packetEmpty},
	{"Packet_TheyAreReceivedIntoBuffers", packetsEach},
	{"Packet_BuffersGoBackToTheirSenders", packetEcho},
	{"Packet_QueuedSendsLeaveTogetherInOrder", packetsGathered},
	{"Packet_RunsOfOneSizeKeepTheirBounds", packetRuns},
	{"Packet_RunsWhereTheKernelCannotCutThem", packetRunsRefused},
	{"Packet_ABadOneDoesNotStopTheOthers", packetBadInLine},
	{"Packet_ManyLeaveByOneOperation", packetsByOne},
	{"Packet_ManyLeaveUntilABadOne", packetsByOneBad},
	{"Packet_ARefusalIsReportedAndReceivingGoesOn", packetRefused},
	{"Packet_AConnectedSocketHasOnePeer", packetConnected},
	{"Packet_ABufferFromElsewhereGoesToThePeer", packetForward},
	{"Packet_UnixgramKeepsNamesAndBounds", unixgram},
	{"Packet_WhatWaitsForAFullPeerArrivesWhole", packetsFullPeer},
	{"Packet_ReceivingWithoutRoomEnds", packetsNoRoom},
	{"Packet_ControlMessagesTellOfIt", packetControl},
	{"Packet_ControlMessagesOfIPv6", packetControl6},
	{"Packet_SegmentsAreCutAndJoined", packetSegments},
	{"Packet_JoinedOnesNeedLargeBuffers", packetJoinedRoom},
	{"Packet_ACutOneLeavesNoTraceInItsBuffer", packetCutTrace},
	{"Packet_AResumeIsNotLost", packetResume},
	{"Packet_RawMessagesCarryControlBothWays", packetRawControl},
	{"Packet_ReceivingPausesWithoutBuffersAndGoesOn", packetsStarved},
	{"Packet_AReceiveIsCancelled", packetCancelled},
	{"Packet_CloseEndsReceivesAndFlushes", packetClose},
	{"Packet_AMulticastGroupIsHeard", packetMulticast},
	{"Packet_ARoomThatIsLargerThanABuffer", packetRoom},
	{"Packet_ManyMessagesNeedASocketWithBounds", packetsNeedBounds},
}

// packetConn returns a UDP socket of the loop and its address.
func (e *env) packetConn(network, address string) (*proactor.PacketConn, netip.AddrPort) {
	e.Helper()
	c, err := e.loop.ListenPacket(network, address)
	require.NoError(e, err)
	return c, addrPort(c.LocalAddr())
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// udpPeer returns a UDP socket of package net.
func (e *env) udpPeer() (*net.UDPConn, netip.AddrPort) {
	e.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(e, err)
	e.Cleanup(func() { c.Close() })
	require.NoError(e, c.SetDeadline(time.Now().Add(patience)))
	return c, addrPort(c.LocalAddr())
}

type datagram struct {
	data []byte
	from netip.AddrPort
	b    *op.Buffer
	err  error
}

// datagrams receives each datagram of c, and releases its Buffer unless keep.
func datagrams(e *env, c *proactor.PacketConn, keep bool) chan datagram {
	e.Helper()
	all := make(chan datagram, 4096)
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if b == nil {
			all <- datagram{err: err}
			return
		}
		d := datagram{data: b.Copy(), from: b.From(), err: err}
		if keep {
			d.b = b
		} else {
			b.Release()
		}
		all <- d
	}))
	return all
}

type received struct {
	n    int
	from netip.AddrPort
	err  error
}

func recvFrom(e *env, c *proactor.PacketConn, b []byte) received {
	e.Helper()
	done := make(chan received, 1)
	_, err := c.RecvFrom(b, func(n int, from netip.AddrPort, err error) { done <- received{n, from, err} })
	require.NoError(e, err)
	return await(e, done)
}

func sendTo(e *env, c *proactor.PacketConn, b []byte, to netip.AddrPort) (int, error) {
	e.Helper()
	done := make(chan result, 1)
	_, err := c.SendTo(b, to, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	r := await(e, done)
	return r.n, r.err
}

func packetSender(e *env) {
	e.start()
	for _, network := range []string{"udp", "udp4", "udp6"} {
		address := "127.0.0.1:0"
		if network == "udp6" {
			address = "[::1]:0"
		}
		a, at := e.packetConn(network, address)
		b, bt := e.packetConn(network, address)
		buf := make([]byte, 100)
		n, err := sendTo(e, a, []byte("hello"), bt)
		require.NoError(e, err)
		require.Equal(e, 5, n)
		require.Equal(e, received{5, at, nil}, recvFrom(e, b, buf))
		n, err = sendTo(e, b, []byte("you too"), at)
		require.NoError(e, err)
		require.Equal(e, 7, n)
		require.Equal(e, received{7, bt, nil}, recvFrom(e, a, buf))
		require.Equal(e, "you too", string(buf[:7]))
	}
}

func packetCut(e *env) {
	e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	peer, _ := e.udpPeer()
	for range 2 {
		_, err := peer.WriteToUDPAddrPort([]byte("0123456789"), at)
		require.NoError(e, err)
	}
	m := &op.Message{Data: make([]byte, 4)}
	done := make(chan result, 1)
	_, err := c.RecvMsg(m, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	require.Equal(e, result{4, nil}, await(e, done))
	data, control := m.Truncated()
	require.True(e, data)
	require.False(e, control)
	m.Data = make([]byte, 10)
	_, err = c.RecvMsg(m, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	require.Equal(e, result{10, nil}, await(e, done))
	data, _ = m.Truncated()
	require.False(e, data)
	// Into a Buffer, too.
	got := make(chan bool, 2)
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if err == nil {
			cut, _ := b.Truncated()
			got <- cut
			b.Release()
		}
	}))
	_, err = peer.WriteToUDPAddrPort(make([]byte, 30_000), at)
	require.NoError(e, err)
	_, err = peer.WriteToUDPAddrPort(make([]byte, 10_000), at)
	require.NoError(e, err)
	require.True(e, await(e, got))
	require.False(e, await(e, got))
}

func packetEmpty(e *env) {
	e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	peer, pt := e.udpPeer()
	_, err := peer.WriteToUDPAddrPort(nil, at)
	require.NoError(e, err)
	require.Equal(e, received{0, pt, nil}, recvFrom(e, c, make([]byte, 9)))
	all := datagrams(e, c, false)
	for _, s := range []string{"", "x", "", ""} {
		_, err = peer.WriteToUDPAddrPort([]byte(s), at)
		require.NoError(e, err)
		d := await(e, all)
		require.NoError(e, d.err)
		require.Equal(e, s, string(d.data))
		require.Equal(e, pt, d.from)
	}
	n, err := sendTo(e, c, nil, pt)
	require.NoError(e, err)
	require.Zero(e, n)
	n, from, err := peer.ReadFromUDPAddrPort(make([]byte, 9))
	require.NoError(e, err)
	require.Zero(e, n)
	require.Equal(e, at, from)
}

func packetsEach(e *env) {
	e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	all := datagrams(e, c, false)
	peers := make([]*net.UDPConn, 3)
	at3 := make([]netip.AddrPort, 3)
	for i := range peers {
		peers[i], at3[i] = e.udpPeer()
	}
	const rounds = 200
	for i := range rounds {
		for j, p := range peers {
			b := binary.BigEndian.AppendUint32(make([]byte, 1000*j), uint32(i))
			_, err := p.WriteToUDPAddrPort(b, at)
			require.NoError(e, err)
		}
		for j := range peers {
			d := await(e, all)
			require.NoError(e, d.err)
			require.Equal(e, at3[j], d.from)
			require.Len(e, d.data, 1000*j+4)
			require.EqualValues(e, i, binary.BigEndian.Uint32(d.data[1000*j:]))
		}
	}
}

// echoPackets sends each datagram back to where it came from.
func echoPackets(e *env, c *proactor.PacketConn) {
	e.Helper()
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if err == nil {
			_, _ = c.SendBuffer(b, nil)
		}
	}))
}

func packetEcho(e *env) {
	e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	echoPackets(e, c)
	a, _ := e.udpPeer()
	b, _ := e.udpPeer()
	buf := make([]byte, 2000)
	for i := range 300 {
		for _, p := range []*net.UDPConn{a, b} {
			msg := fmt.Appendf(nil, "%d %p", i, p)
			for range 3 {
				_, err := p.WriteToUDPAddrPort(msg, at)
				require.NoError(e, err)
			}
		}
		for _, p := range []*net.UDPConn{a, b} {
			for range 3 {
				n, from, err := p.ReadFromUDPAddrPort(buf)
				require.NoError(e, err)
				require.Equal(e, fmt.Sprintf("%d %p", i, p), string(buf[:n]))
				require.Equal(e, at, from)
			}
		}
	}
	require.Zero(e, e.stats().BuffersOut)
}
