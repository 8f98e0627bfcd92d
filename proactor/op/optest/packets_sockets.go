//go:build linux

package optest

import (
	"bytes"
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

func packetsStarved(e *env) {
	e.start(proactor.WithBuffers(4, 1024), proactor.WithQuota(100))
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
	s := e.stats()
	require.Zero(e, s.BuffersOut)
	require.NotZero(e, s.Starvations)
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
	require.ErrorIs(e, err, syscall.EINVAL)
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

// packetsNoRoom asks for more control messages than a Buffer has room for: receiving
// ends, and isn't begun again and again.
func packetsNoRoom(e *env) {
	e.start(proactor.WithBuffers(4, 64))
	c, _ := e.packetConn("udp", "127.0.0.1:0")
	require.NoError(e, c.SetControl(proactor.PacketInfo))
	all := datagrams(e, c, false)
	require.ErrorIs(e, await(e, all).err, syscall.EINVAL)
	e.settle()
	require.Empty(e, all)
}

func packetJoinedRoom(e *env) {
	e.start()
	c, _ := e.packetConn("udp4", "127.0.0.1:0")
	if err := c.SetControl(proactor.SegmentSize); err != nil {
		e.Skip("no joining of datagrams here: ", err)
	}
	err := c.RecvEach(func(*op.Buffer, error) { e.Error("a callback of what was refused") })
	require.ErrorIs(e, err, op.ErrInvalid)
	require.NoError(e, c.SetControl(0))
	datagrams(e, c, false)
	e.settle()
}

func packetCutTrace(e *env) {
	e.start(proactor.WithBuffers(1, 256))
	c, at := e.packetConn("udp", "127.0.0.1:0")
	h, stream := e.pair()
	peer, _ := e.udpPeer()
	cut := make(chan bool, 2)
	require.NoError(e, c.RecvEach(func(b *op.Buffer, err error) {
		if err == nil {
			data, _ := b.Truncated()
			cut <- data
			b.Release()
		}
	}))
	_, err := peer.WriteToUDPAddrPort(make([]byte, 1000), at)
	require.NoError(e, err)
	require.True(e, await(e, cut))
	require.NoError(e, plain(e, c.Close))
	o := &op.Op{Done: func(o *op.Op) {
		if b := o.Buffer(); b != nil {
			data, _ := b.Truncated()
			cut <- data || b.From().IsValid() || len(b.Control()) > 0
			b.Release()
		}
	}}
	_, err = e.loop.Submit(o.RecvEach(h))
	require.NoError(e, err)
	e.write(stream, []byte("x"))
	require.False(e, await(e, cut))
}

// packetResume pauses and resumes on another goroutine, while errors make the
// receive begin anew on the loop's.
func packetResume(e *env) {
	l := e.start()
	gone, at := e.udpPeer()
	gone.Close()
	c, err := l.DialPacket("udp", at.String())
	require.NoError(e, err)
	all := datagrams(e, c, false)
	for range 300 {
		_, err = c.Send([]byte("anybody?"), nil)
		require.NoError(e, err)
		c.PauseRecv()
		c.ResumeRecv()
	}
	back, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	require.NoError(e, err)
	defer back.Close()
	_, err = back.WriteToUDPAddrPort([]byte("here"), addrPort(c.LocalAddr()))
	require.NoError(e, err)
	for d := await(e, all); string(d.data) != "here"; d = await(e, all) {
		require.ErrorIs(e, d.err, syscall.ECONNREFUSED)
	}
}
