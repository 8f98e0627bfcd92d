//go:build linux

package optest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
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
	{"Packet_ControlMessagesTellOfIt", packetControl},
	{"Packet_ControlMessagesOfIPv6", packetControl6},
	{"Packet_SegmentsAreCutAndJoined", packetSegments},
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
	l := e.start()
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
	e.settle()
	require.Zero(e, l.Stats().BuffersOut)
}

// packetsGathered queues more than fits in one batch before the loop can send.
func packetsGathered(e *env) {
	e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	peer, pt := e.udpPeer()
	require.NoError(e, peer.SetReadBuffer(4<<20))
	const n = 150
	done := make(chan result, n)
	order := make(chan int, n)
	e.onLoop(func() {
		for i := range n {
			b := binary.BigEndian.AppendUint32(make([]byte, i%7), uint32(i))
			_, err := c.SendTo(b, pt, func(n int, err error) { order <- i; done <- result{n, err} })
			require.NoError(e, err)
		}
	})
	buf := make([]byte, 100)
	for i := range n {
		k, from, err := peer.ReadFromUDPAddrPort(buf)
		require.NoError(e, err)
		require.Equal(e, at, from)
		require.Equal(e, i%7+4, k)
		require.EqualValues(e, i, binary.BigEndian.Uint32(buf[k-4:]))
		require.Equal(e, i, await(e, order))
		require.Equal(e, result{i%7 + 4, nil}, await(e, done))
	}
}

// packetRuns queues runs of datagrams of one size, which leave as one, with some
// between them that must not be a part of that.
func packetRuns(e *env) {
	e.start()
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	e.runs(c)
}

func packetRunsRefused(e *env) {
	e.start()
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	require.NoError(e, unix.SetsockoptInt(c.FD(), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)) // udp(7): it takes checksums
	e.runs(c)
}

func (e *env) runs(c *proactor.PacketConn) {
	e.Helper()
	type one struct {
		size, to int
	}
	var all []one
	add := func(n, size, to int) {
		for range n {
			all = append(all, one{size, to})
		}
	}
	add(1, 100, 0)
	add(10, 100, 1)
	add(5, 100, 0)
	add(1, 40, 0) // shorter: the last of its run
	add(3, 100, 0)
	add(1, 101, 0) // longer
	add(2, 0, 0)
	add(3, 30_000, 1) // too much for one
	add(200, 64, 0)   // more than go in one system call
	add(1, 0, 0)
	add(4, 64, 1)
	var peers [2]*net.UDPConn
	var at [2]netip.AddrPort
	for i := range peers {
		peers[i], at[i] = e.udpPeer()
		require.NoError(e, peers[i].SetReadBuffer(4<<20))
	}
	done := make(chan result, len(all))
	e.onLoop(func() {
		for i, x := range all {
			b := bytes.Repeat([]byte{byte(i)}, x.size)
			_, err := c.SendTo(b, at[x.to], func(n int, err error) { done <- result{n, err} })
			require.NoError(e, err)
		}
	})
	for _, x := range all {
		require.Equal(e, result{x.size, nil}, await(e, done))
	}
	buf := make([]byte, 1<<16)
	for i, x := range all {
		n, err := peers[x.to].Read(buf)
		require.NoError(e, err)
		require.Equal(e, bytes.Repeat([]byte{byte(i)}, x.size), buf[:n], "number %d", i)
	}
	// The same by one operation.
	messages := make([]op.Message, len(all))
	for i, x := range all {
		messages[i].Data = bytes.Repeat([]byte{byte(i)}, x.size)
		require.NoError(e, messages[i].To(at[x.to]))
	}
	n, err := e.do(func(o *op.Op) *op.Op { return o.SendMsgs(c, messages) })
	require.NoError(e, err)
	require.Equal(e, len(all), n)
	for i, x := range all {
		n, err := peers[x.to].Read(buf)
		require.NoError(e, err)
		require.Equal(e, messages[i].Data, buf[:n], "number %d", i)
	}
}

func packetBadInLine(e *env) {
	e.start()
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	peer, pt := e.udpPeer()
	done := make(chan result, 5)
	e.onLoop(func() {
		for i := range 5 {
			b := []byte{byte(i)}
			if i == 2 || i == 4 {
				b = make([]byte, 70_000) // more than a datagram can have
			}
			_, err := c.SendTo(b, pt, func(n int, err error) { done <- result{n, err} })
			require.NoError(e, err)
		}
	})
	for i := range 5 {
		r := await(e, done)
		if i == 2 || i == 4 {
			require.ErrorIs(e, r.err, syscall.EMSGSIZE)
			require.Zero(e, r.n)
			continue
		}
		require.Equal(e, result{1, nil}, r)
		buf := make([]byte, 9)
		n, err := peer.Read(buf)
		require.NoError(e, err)
		require.Equal(e, []byte{byte(i)}, buf[:n])
	}
}

func packetsByOne(e *env) {
	e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	a, aAt := e.udpPeer()
	b, bAt := e.udpPeer()
	all := make([]op.Message, 201)
	for i := range all {
		all[i].Data = []byte{byte(i), byte(i >> 8)}
		to := aAt
		if i%2 == 1 {
			to = bAt
		}
		require.NoError(e, all[i].To(to))
	}
	done := make(chan result, 1)
	_, err := c.SendMsgs(all, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	require.Equal(e, result{201, nil}, await(e, done))
	buf := make([]byte, 9)
	for i := range all {
		p := a
		if i%2 == 1 {
			p = b
		}
		n, from, err := p.ReadFromUDPAddrPort(buf)
		require.NoError(e, err)
		require.Equal(e, at, from)
		require.Equal(e, all[i].Data, buf[:n])
	}
	_, err = c.SendMsgs(nil, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	require.Equal(e, result{0, nil}, await(e, done))
}

func packetsByOneBad(e *env) {
	e.start()
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	peer, pt := e.udpPeer()
	all := make([]op.Message, 5)
	for i := range all {
		all[i].Data = []byte{byte(i)}
		require.NoError(e, all[i].To(pt))
	}
	all[3].Data = make([]byte, 70_000)
	done := make(chan result, 1)
	_, err := c.SendMsgs(all, func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	r := await(e, done)
	require.Equal(e, 3, r.n)
	require.ErrorIs(e, r.err, syscall.EMSGSIZE)
	buf := make([]byte, 9)
	for i := range 3 {
		n, err := peer.Read(buf)
		require.NoError(e, err)
		require.Equal(e, []byte{byte(i)}, buf[:n])
	}
	n, err := sendTo(e, c, []byte("next"), pt) // nothing is torn
	require.NoError(e, err)
	require.Equal(e, 4, n)
}

// packetRefused sends to a port where nobody listens: the answer is an error of
// the next receive.
func packetRefused(e *env) {
	l := e.start()
	gone, at := e.udpPeer()
	gone.Close()
	c, err := l.DialPacket("udp", at.String())
	require.NoError(e, err)
	all := datagrams(e, c, false)
	for range 3 {
		done := make(chan result, 1)
		_, err = c.Send([]byte("anybody?"), func(n int, err error) { done <- result{n, err} })
		require.NoError(e, err)
		await(e, done)
		require.ErrorIs(e, await(e, all).err, syscall.ECONNREFUSED)
	}
	back, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	require.NoError(e, err)
	defer back.Close()
	_, err = back.WriteToUDPAddrPort([]byte("here"), addrPort(c.LocalAddr()))
	require.NoError(e, err)
	require.Equal(e, "here", string(await(e, all).data))
	require.NoError(e, plain(e, c.Close))
	require.ErrorIs(e, await(e, all).err, net.ErrClosed)
}

func packetConnected(e *env) {
	l := e.start()
	peer, at := e.udpPeer()
	other, _ := e.udpPeer()
	c, err := l.DialPacket("udp", at.String())
	require.NoError(e, err)
	require.Equal(e, at, addrPort(c.RemoteAddr()))
	_, err = other.WriteToUDPAddrPort([]byte("not for you"), addrPort(c.LocalAddr()))
	require.NoError(e, err)
	echoPackets(e, c)
	_, err = peer.WriteToUDPAddrPort([]byte("for you"), addrPort(c.LocalAddr()))
	require.NoError(e, err)
	buf := make([]byte, 99)
	n, err := peer.Read(buf)
	require.NoError(e, err)
	require.Equal(e, "for you", string(buf[:n]))
	done := make(chan result, 1)
	_, err = c.Send([]byte("and this"), func(n int, err error) { done <- result{n, err} })
	require.NoError(e, err)
	require.Equal(e, result{8, nil}, await(e, done))
	n, err = peer.Read(buf)
	require.NoError(e, err)
	require.Equal(e, "and this", string(buf[:n]))
}

func packetForward(e *env) {
	l := e.start()
	target, at := e.udpPeer()
	in, inAt := e.packetConn("udp", "127.0.0.1:0")
	out, err := l.DialPacket("udp", at.String())
	require.NoError(e, err)
	require.NoError(e, in.RecvEach(func(b *op.Buffer, err error) {
		if err == nil {
			_, _ = out.SendBuffer(b, nil)
		}
	}))
	from, _ := e.udpPeer()
	_, err = from.WriteToUDPAddrPort([]byte("through"), inAt)
	require.NoError(e, err)
	buf := make([]byte, 99)
	n, sender, err := target.ReadFromUDPAddrPort(buf)
	require.NoError(e, err)
	require.Equal(e, "through", string(buf[:n]))
	require.Equal(e, addrPort(out.LocalAddr()), sender)
}

func unixgram(e *env) {
	l := e.start()
	path := filepath.Join(e.TempDir(), "s")
	c, err := l.ListenPacket("unixgram", path)
	require.NoError(e, err)
	require.Equal(e, &net.UnixAddr{Net: "unixgram", Name: path}, c.LocalAddr())
	d, err := l.DialPacket("unixgram", path)
	require.NoError(e, err)
	echoPackets(e, c)
	all := datagrams(e, d, false)
	for _, s := range []string{"one", "", string(bytes.Repeat([]byte("x"), 9000)), "two"} {
		done := make(chan result, 1)
		_, err = d.Send([]byte(s), func(n int, err error) { done <- result{n, err} })
		require.NoError(e, err)
		require.Equal(e, result{len(s), nil}, await(e, done))
		got := await(e, all)
		require.NoError(e, got.err)
		require.Equal(e, s, string(got.data))
	}
	require.NoError(e, plain(e, c.Close))
	require.NoFileExists(e, path)
}

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
	e.start()
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

func packetsStarved(e *env) {
	l := e.start(proactor.WithBuffers(4, 1024), proactor.WithQuota(100))
	c, at := e.packetConn("udp", "127.0.0.1:0")
	all := datagrams(e, c, true)
	peer, _ := e.udpPeer()
	const n = 20
	for i := range n {
		_, err := peer.WriteToUDPAddrPort([]byte{byte(i)}, at)
		require.NoError(e, err)
	}
	var held []*op.Buffer
	for i := range n {
		d := await(e, all)
		require.NoError(e, d.err)
		require.Equal(e, []byte{byte(i)}, d.data)
		if held = append(held, d.b); len(held) == 4 {
			for _, b := range held {
				b.Release()
			}
			held = held[:0]
		}
	}
	for _, b := range held {
		b.Release()
	}
	e.settle()
	require.Zero(e, l.Stats().BuffersOut)
	require.NotZero(e, l.Stats().Starvations)
}

func packetCancelled(e *env) {
	l := e.start()
	c, at := e.packetConn("udp", "127.0.0.1:0")
	for _, prepare := range []func(o *op.Op) *op.Op{
		func(o *op.Op) *op.Op { return o.RecvMsg(c, &op.Message{Data: make([]byte, 9)}) },
		func(o *op.Op) *op.Op { return o.RecvMsgEach(c, 64) },
	} {
		done := make(chan result, 1)
		o := &op.Op{Done: func(o *op.Op) {
			n, err := o.Result()
			done <- result{n, err}
		}}
		t, err := l.Submit(prepare(o))
		require.NoError(e, err)
		e.settle()
		require.True(e, l.Cancel(t))
		require.Equal(e, result{0, op.ErrCanceled}, await(e, done))
		_, err = l.Submit(prepare(o).SetTimeout(time.Millisecond))
		require.NoError(e, err)
		require.ErrorIs(e, await(e, done).err, os.ErrDeadlineExceeded)
	}
	// Nothing was lost on the way.
	peer, pt := e.udpPeer()
	_, err := peer.WriteToUDPAddrPort([]byte("x"), at)
	require.NoError(e, err)
	require.Equal(e, received{1, pt, nil}, recvFrom(e, c, make([]byte, 9)))
}

func packetClose(e *env) {
	e.start()
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	peer, pt := e.udpPeer()
	all := datagrams(e, c, false)
	sent := make(chan result, 100)
	e.onLoop(func() {
		for i := range 100 {
			_, err := c.SendTo([]byte{byte(i)}, pt, func(n int, err error) { sent <- result{n, err} })
			require.NoError(e, err)
		}
		require.NoError(e, c.Close(func(error) { close(sent) }))
		_, err := c.SendTo(nil, pt, nil)
		require.ErrorIs(e, err, net.ErrClosed)
	})
	require.ErrorIs(e, await(e, all).err, net.ErrClosed)
	buf := make([]byte, 9)
	for i := range 100 {
		n, err := peer.Read(buf)
		require.NoError(e, err)
		require.Equal(e, []byte{byte(i)}, buf[:n])
		require.Equal(e, result{1, nil}, await(e, sent))
	}
	await(e, sent) // closed: Close's callback was the last
}

func packetMulticast(e *env) {
	l := e.start()
	lo, err := net.InterfaceByName("lo")
	require.NoError(e, err)
	group := netip.MustParseAddr("239.255.77.7")
	c, at := e.packetConn("udp4", "0.0.0.0:0")
	if err := c.Join(group, lo); err != nil {
		e.Skip("no multicast here: ", err)
	}
	s, err := l.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(e, err)
	require.NoError(e, s.SetMulticastInterface(lo))
	to := netip.AddrPortFrom(group, at.Port())
	_, err = sendTo(e, s, []byte("all"), to)
	require.NoError(e, err)
	require.Equal(e, received{3, addrPort(s.LocalAddr()), nil}, recvFrom(e, c, make([]byte, 9)))
	require.NoError(e, c.Leave(group, lo))
	require.ErrorIs(e, c.Leave(group, lo), unix.EADDRNOTAVAIL)
}

func packetRoom(e *env) {
	e.start(proactor.WithBuffers(4, 128))
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	_, err := e.do(func(o *op.Op) *op.Op { return o.RecvMsgEach(c, 128) })
	require.ErrorIs(e, err, syscall.EMSGSIZE)
	o := &op.Op{Done: func(*op.Op) {}}
	_, err = e.loop.Submit(o.RecvMsgEach(c, op.MaxControl+1))
	require.ErrorIs(e, err, op.ErrInvalid)
}

func packetsNeedBounds(e *env) {
	e.start()
	h, _ := e.pair()
	m := []op.Message{{Data: []byte("x")}}
	_, err := e.do(func(o *op.Op) *op.Op { return o.SendMsgs(h, m) })
	require.ErrorIs(e, err, syscall.EOPNOTSUPP)
	p, _ := e.pipe(true)
	_, err = e.do(func(o *op.Op) *op.Op { return o.RecvMsgEach(p, 0) })
	require.ErrorIs(e, err, syscall.ENOTSOCK)
	_, err = e.do(func(o *op.Op) *op.Op { return o.RecvMsg(p, &op.Message{Data: make([]byte, 1)}) })
	require.ErrorIs(e, err, syscall.ENOTSOCK)
}
