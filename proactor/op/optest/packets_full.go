//go:build linux

package optest

import (
	"bytes"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// packetsFullPeer sends to a peer that takes no more, with each verb and from each
// kind of socket: the peer then reads, and must find what was sent.
func packetsFullPeer(e *env) {
	e.start()
	payload := func(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i)}, 100+i) }
	verbs := map[string]func(h op.Target, i int, to op.Sockaddr) func(*op.Op) *op.Op{
		"send": func(h op.Target, i int, _ op.Sockaddr) func(*op.Op) *op.Op {
			return func(o *op.Op) *op.Op { return o.Send(h, payload(i)) }
		},
		"sendv": func(h op.Target, i int, _ op.Sockaddr) func(*op.Op) *op.Op {
			return func(o *op.Op) *op.Op { return o.Sendv(h, [][]byte{payload(i)[:50], payload(i)[50:]}) }
		},
		"sendmsg": func(h op.Target, i int, to op.Sockaddr) func(*op.Op) *op.Op {
			return func(o *op.Op) *op.Op { return o.SendMsg(h, &op.Message{Data: payload(i), Peer: to}) }
		},
		"sendmmsg": func(h op.Target, i int, to op.Sockaddr) func(*op.Op) *op.Op {
			return func(o *op.Op) *op.Op { return o.SendMsgs(h, []op.Message{{Data: payload(i), Peer: to}}) }
		},
	}
	for _, kind := range []string{"connected", "not connected", "seqpacket"} {
		for name, verb := range verbs {
			if kind == "not connected" && (name == "send" || name == "sendv") {
				continue // they have no address
			}
			for _, n := range []int{1, 5} { // alone, and several that queue
				h, peer, to := e.fullPeer(kind)
				done := make(chan result, n)
				e.onLoop(func() {
					for i := range n {
						o := &op.Op{Done: func(o *op.Op) {
							n, err := o.Result()
							done <- result{n, err}
						}}
						_, err := e.loop.Submit(verb(h, i, to)(o))
						require.NoError(e, err)
					}
				})
				e.settle()
				require.Empty(e, done, "the peer is full")
				var got [][]byte
				for len(got) < n {
					e.readable(peer)
					buf := make([]byte, 2000)
					k, err := unix.Read(peer, buf)
					require.NoError(e, err)
					if k != len(filler) {
						got = append(got, buf[:k])
					}
				}
				for i := range n {
					want := result{100 + i, nil}
					if name == "sendmmsg" {
						want.n = 1
					}
					require.Equal(e, want, await(e, done), "%s, %s", kind, name)
					require.Equal(e, string(payload(i)), string(got[i]), "%s, %s", kind, name)
				}
			}
		}
	}
}

// filler is what a full peer is full of.
var filler = make([]byte, 1000)

// fullPeer returns a socket and its peer, which takes no more: of datagrams, because
// another one has sent to it.
func (e *env) fullPeer(kind string) (h *op.Handle, peer int, to op.Sockaddr) {
	e.Helper()
	if kind == "seqpacket" {
		a, b := e.fds(unix.SOCK_SEQPACKET)
		e.Cleanup(func() { unix.Close(b) })
		e.fill(a)
		return e.register(a, nil), b, to
	}
	socket := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		require.NoError(e, err)
		return fd
	}
	name := unixName()
	at := &unix.SockaddrUnix{Name: name}
	peer, other := socket(), socket()
	e.Cleanup(func() { unix.Close(peer); unix.Close(other) })
	require.NoError(e, unix.Bind(peer, at))
	require.NoError(e, unix.Connect(other, at))
	e.fill(other)
	fd := socket()
	if kind == "connected" {
		require.NoError(e, unix.Connect(fd, at))
	} else {
		to = *e.unixAddr(name)
	}
	return e.register(fd, nil), peer, to
}

func (e *env) fill(fd int) {
	e.Helper()
	for {
		if _, err := unix.Write(fd, filler); err != nil {
			require.ErrorIs(e, err, unix.EAGAIN)
			return
		}
	}
}
