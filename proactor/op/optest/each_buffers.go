//go:build linux

package optest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func idleHoldsNoBuffer(e *env) {
	e.start(proactor.WithBuffers(2, 1024))
	type end struct {
		c    chan piece
		peer net.Conn
	}
	var ends []end
	for range 50 {
		h, peer := e.pair()
		c, _, _ := e.recvEach(h)
		ends = append(ends, end{c, peer})
	}
	for i, x := range ends {
		write(e, x.peer, fmt.Append(nil, i))
		require.Equal(e, fmt.Sprint(i), string(e.drain(x.c, len(fmt.Sprint(i)))))
	}
}

// takeAll holds all Buffers: it returns them, and the channels of the receives
// that have got none although there is data.
func (e *env) takeAll(n int) (held []*op.Buffer, without []chan piece) {
	e.start(proactor.WithBuffers(n, 64))
	var got, all []chan piece
	for range 2 * n {
		h, peer := e.pair()
		c, _, _ := e.recvEach(h)
		e.settle()
		write(e, peer, []byte("data"))
		all = append(all, c)
		if len(all) <= n {
			held = append(held, await(e, c).buf)
			got = append(got, c)
		}
		e.settle()
	}
	return held, all[len(got):]
}

func releaseWakesStarved(e *env) {
	held, without := e.takeAll(4)
	e.settle()
	for _, c := range without {
		require.Empty(e, c)
	}
	// The loop sleeps; each release on another goroutine lets one go on.
	for i, b := range held {
		go b.Release()
		p := await(e, without[i])
		require.Equal(e, "data", string(p.buf.Bytes()))
	}
}

func starvedInOrder(e *env) {
	held, without := e.takeAll(3)
	order := make(chan int, len(without))
	for i, c := range without {
		go func() {
			p := <-c
			order <- i
			p.buf.Release()
		}()
	}
	held[0].Release() // one Buffer goes round
	var got []int
	for range without {
		got = append(got, await(e, order))
	}
	require.True(e, slices.IsSorted(got), "%v", got)
}

func slowReaderQuota(e *env) {
	e.start(proactor.WithBuffers(16, 256), proactor.WithQuota(4))
	slow, flood := e.pair()
	c, _, _ := e.recvEach(slow)
	data := random(64 << 10)
	go func() { _, _ = flood.Write(data) }()
	var held []piece
	for range 4 {
		held = append(held, await(e, c)) // kept: the quota is used up
	}
	for range 100 {
		h, peer := e.pair()
		q, _, _ := e.recvEach(h)
		write(e, peer, []byte("quick"))
		require.Equal(e, "quick", string(e.drain(q, 5)))
		peer.Close()
		require.Equal(e, io.EOF, await(e, q).err)
	}
	var got []byte
	for len(got) < len(data) {
		if len(held) == 0 {
			held = append(held, await(e, c))
		}
		got = append(got, held[0].buf.Bytes()...)
		held[0].buf.Release()
		held = held[1:]
	}
	require.True(e, bytes.Equal(data, got))
}

// Messages of one length byte and a body, that come in pieces of any size: the
// parser keeps a Buffer until the message in it is whole.
func parserKeepsPartial(e *env) {
	e.start(proactor.WithBuffers(8, 32))
	h, peer := e.pair()
	c, _, _ := e.recvEach(h)
	var stream, want []byte
	for i := range 200 {
		body := random(i % 40)
		stream = append(append(stream, byte(len(body))), body...)
		want = append(want, body...)
	}
	go func() {
		for len(stream) > 0 {
			n := min(len(stream), 1+rand.IntN(20))
			if _, err := peer.Write(stream[:n]); err != nil {
				return
			}
			stream = stream[n:]
		}
		peer.Close()
	}()
	var got []byte
	var kept []*op.Buffer
	for p := await(e, c); p.more; p = await(e, c) {
		kept = append(kept, p.buf)
		for body, ok := message(&kept); ok; body, ok = message(&kept) {
			got = append(got, body...)
		}
	}
	require.Empty(e, kept)
	require.True(e, bytes.Equal(want, got))
}

// message takes the first message out of the Buffers if it is whole.
func message(kept *[]*op.Buffer) ([]byte, bool) {
	have := 0
	for _, b := range *kept {
		have += b.Len()
	}
	if have == 0 {
		return nil, false
	}
	need := 1 + int((*kept)[0].Bytes()[0])
	if have < need {
		return nil, false
	}
	var m []byte
	for need > 0 {
		b := (*kept)[0]
		n := min(need, b.Len())
		m = append(m, b.Bytes()[:n]...)
		b.Skip(n)
		need -= n
		if b.Len() == 0 {
			b.Release()
			*kept = (*kept)[1:]
		}
	}
	return m[1:], true
}

// A source that heeds the marks queues no more than they allow, and all of it
// arrives when the peer reads at last.
func waterMarks(e *env) {
	e.start()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(e, err)
	conn, err := e.loop.NewConn(fds[0])
	require.NoError(e, err)
	peer := e.netConn(fds[1])
	const low, high, chunk, total = 64 << 10, 256 << 10, 16 << 10, 8 << 20
	full := false
	sent, most := 0, 0
	piece := make([]byte, chunk)
	var pump func(int, error)
	crossings := make(chan bool, 10_000)
	pump = func(int, error) {
		for !full && sent < total && conn.Queued() <= high {
			sent += chunk
			_, err := conn.Send(piece, pump)
			require.NoError(e, err)
		}
		most = max(most, conn.Queued())
	}
	conn.SetWaterMarks(low, high, func(f bool) {
		full = f
		crossings <- f
		pump(0, nil)
	})
	e.onLoop(func() { pump(0, nil) })
	require.True(e, await(e, crossings), "the high mark is crossed")
	e.onLoop(func() { require.LessOrEqual(e, sent, high+1<<20, "the peer has read nothing") })
	n, err := io.CopyN(io.Discard, peer, total)
	require.NoError(e, err)
	require.EqualValues(e, total, n)
	require.False(e, await(e, crossings), "the low mark is crossed")
	e.onLoop(func() { require.LessOrEqual(e, most, high+chunk) })
}
