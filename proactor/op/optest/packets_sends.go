//go:build linux

package optest

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

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
