//go:build linux

package optest

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// gatherTests hold an engine to the rules where several sends leave together.
var gatherTests = []test{
	{"Rule03_ThousandsOfSmallSendsLeaveInOrder", smallSendsInOrder},
	{"Rule05_SendsBehindOneThatFailsFailThemselves", gatheredSendsFail},
	{"Rule06_ASendInTheMiddleOfManyCanBeCancelled", cancelGathered},
	{"Rule06_ADeadlineEndsASendInTheMiddleOfMany", deadlineGathered},
}

// blockedPair is a pair whose loop side can send nothing more at first: the peer
// has not read, and the buffers are small. It returns what fills them.
func (e *env) blockedPair() (h *op.Handle, peer interface{ io.ReadCloser }, fill []byte, filled chan result) {
	x, c := e.pair()
	require.NoError(e, unix.SetsockoptInt(x.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096))
	fill = random(1 << 20)
	filled, done := into(1)
	_, err := e.loop.Submit((&op.Op{Done: done}).Send(x, fill))
	require.NoError(e, err)
	e.settle()
	return x, c, fill, filled
}

func smallSendsInOrder(e *env) {
	e.start()
	h, peer, fill, _ := e.blockedPair()
	const n = 5000
	want := append([]byte(nil), fill...)
	order := make(chan int, n)
	for i := range n {
		b := binary.BigEndian.AppendUint32(nil, uint32(i))
		b = append(b, random(i%100)...)
		want = append(want, b...)
		o := &op.Op{Done: func(o *op.Op) {
			_, err := o.Result()
			require.NoError(e, err)
			order <- i
		}}
		_, err := e.loop.Submit(o.Send(h, b))
		require.NoError(e, err)
	}
	got := make([]byte, len(want))
	_, err := io.ReadFull(peer, got)
	require.NoError(e, err)
	require.True(e, bytes.Equal(want, got))
	for i := range n {
		require.Equal(e, i, await(e, order))
	}
}

func gatheredSendsFail(e *env) {
	e.start()
	h, peer, _, filled := e.blockedPair()
	c, done := into(10)
	for range 10 {
		_, err := e.loop.Submit((&op.Op{Done: done}).Send(h, []byte("behind")))
		require.NoError(e, err)
	}
	e.settle()
	peer.Close()
	r := await(e, filled)
	require.Error(e, r.err)
	for range 10 {
		x := await(e, c)
		require.Error(e, x.err)
		require.Zero(e, x.n)
	}
}

// many queues sends behind a blocked one, of which one is special, and lets the
// peer read until they are under way together.
func (e *env) many(special func(*op.Op, int)) (h *op.Handle, peer io.ReadCloser, fill []byte) {
	h, peer, fill, _ = e.blockedPair()
	for i := range 20 {
		o := &op.Op{Done: func(*op.Op) {}}
		o.Send(h, bytes.Repeat([]byte{byte('a' + i)}, 200_000))
		special(o, i)
	}
	e.settle()
	_, err := io.ReadFull(peer, make([]byte, len(fill)+100_000))
	require.NoError(e, err)
	e.settle()
	return h, peer, fill
}

// restOf reads what is left and returns how many bytes there are of each letter.
func (e *env) restOf(h *op.Handle, peer io.Reader) map[byte]int {
	_, err := e.loop.Submit((&op.Op{Done: func(*op.Op) {}}).Close(h, -1))
	require.NoError(e, err)
	all, err := io.ReadAll(peer)
	require.NoError(e, err)
	n := map[byte]int{}
	for _, b := range all {
		n[b]++
	}
	return n
}

func cancelGathered(e *env) {
	e.start()
	c, done := into(1)
	var t op.Ticket
	h, peer, _ := e.many(func(o *op.Op, i int) {
		if i == 10 {
			o.Done = done
		}
		ticket, err := e.loop.Submit(o)
		require.NoError(e, err)
		if i == 10 {
			t = ticket
		}
	})
	require.True(e, e.loop.Cancel(t))
	r := await(e, c) // although its peer doesn't read
	require.Equal(e, result{0, op.ErrCanceled}, r)
	n := e.restOf(h, peer)
	require.Zero(e, n['k'], "what was cancelled was not sent")
	require.Equal(e, 200_000, n['l'], "what was behind it was")
	require.Equal(e, 200_000, n['t'])
}

func deadlineGathered(e *env) {
	e.start()
	c, done := into(1)
	h, peer, _ := e.many(func(o *op.Op, i int) {
		if i == 5 {
			o.Done = done
			o.SetTimeout(20 * time.Millisecond)
		}
		_, err := e.loop.Submit(o)
		require.NoError(e, err)
	})
	r := await(e, c)
	require.ErrorIs(e, r.err, os.ErrDeadlineExceeded)
	require.Zero(e, r.n)
	n := e.restOf(h, peer)
	require.Zero(e, n['f'])
	require.Equal(e, 200_000, n['t'])
}
