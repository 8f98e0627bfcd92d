//go:build linux

package optest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func datagramsInOrder(e *env) {
	e.start()
	s := &same13{env: e}
	h := s.udp()
	sizes := []int{8, 3, 0, 7, 1}
	c := newCensus(len(sizes))
	bufs := make([][]byte, len(sizes))
	for i := range sizes {
		bufs[i] = s.buf()
		e.submit(c.op(i).Recv(h, bufs[i]))
	}
	for i, n := range sizes {
		data := make([]byte, n)
		for k := range data {
			data[k] = byte('a' + i)
		}
		n, err := e.do(func(o *op.Op) *op.Op { return o.Send(h, data) })
		require.NoError(e, err)
		require.Equal(e, len(data), n)
	}
	await(e, c.all)
	for i, n := range sizes {
		require.Equal(e, result{n, nil}, c.results[i])
		for k := range n {
			require.Equal(e, byte('a'+i), bufs[i][k])
		}
	}
}

func vectorsInOrder(e *env) {
	e.start()
	h, peer := e.rawPair(unix.SOCK_STREAM)
	unix.Write(peer, []byte("abcdefgh"))
	v := [][]byte{make([]byte, 3), nil, make([]byte, 1), make([]byte, 9)}
	n, err := e.do(func(o *op.Op) *op.Op { return o.Recvv(h, v) })
	require.NoError(e, err)
	require.Equal(e, 8, n)
	require.Equal(e, "abc", string(v[0]))
	require.Equal(e, "d", string(v[2]))
	require.Equal(e, "efgh", string(v[3][:4]))
}

func pipeCarriesMuch(e *env) {
	e.start()
	s := &same13{env: e}
	h, r := s.pipe(true)
	in := e.register(r, nil)
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 7)
	}
	c := newCensus(1)
	e.submit(c.op(0).Send(h, data))
	var got []byte
	for len(got) < len(data) {
		b := make([]byte, 1<<16)
		n, err := e.do(func(o *op.Op) *op.Op { return o.Recv(in, b) })
		require.NoError(e, err)
		got = append(got, b[:n]...)
	}
	await(e, c.all)
	require.Equal(e, result{len(data), nil}, c.results[0])
	require.True(e, string(data) == string(got))
}

func directRead(e *env) {
	const block, size = 4096, 10_000 // the last block is short
	e.start()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i / 16)
	}
	_, path := e.file(data)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EINVAL) {
		e.Skip("the file system has no O_DIRECT")
	}
	h := e.register(fd, err)
	b := aligned(3*block, block)
	n, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(h, b[:2*block], 0) })
	require.NoError(e, err)
	require.Equal(e, 2*block, n)
	require.Equal(e, data[:n], b[:n])
	n, err = e.do(func(o *op.Op) *op.Op { return o.ReadAt(h, b, 0) })
	require.ErrorIs(e, err, io.EOF)
	require.Equal(e, data, b[:n])
}

// aligned returns n bytes whose address is a multiple of align.
func aligned(n, align int) []byte {
	b := make([]byte, n+align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip : skip+n]
}

func errorsUnwrap(e *env) {
	e.start()
	s := &same13{env: e}
	h := s.tcp()
	_, err := e.do(func(o *op.Op) *op.Op { return o.Recv(h, s.buf()) })
	var call *os.SyscallError
	require.ErrorAs(e, err, &call)
	require.Equal(e, "recv", call.Syscall)
	var errno syscall.Errno
	require.ErrorAs(e, err, &errno)
	require.Equal(e, syscall.ENOTCONN, errno)
	_, err = e.do(func(o *op.Op) *op.Op { return o.OpenAt(nil, "/nowhere/at/all", 0, 0) })
	require.ErrorIs(e, err, os.ErrNotExist)
	quiet, _ := e.rawPair(unix.SOCK_STREAM)
	_, err = e.do(func(o *op.Op) *op.Op { return o.Recv(quiet, s.buf()).SetTimeout(-time.Second) })
	require.ErrorIs(e, err, os.ErrDeadlineExceeded)
	var timeout net.Error
	require.ErrorAs(e, err, &timeout)
	require.True(e, timeout.Timeout())
}

// allocs checks that a round of operations allocates nothing. It turns the loop
// on this goroutine.
func allocs(e *env, round func(run func(*op.Op))) {
	e.Helper()
	if raceEnabled {
		e.Skip("the race detector allocates")
	}
	l := e.loop
	run := func(o *op.Op) {
		if _, err := l.Submit(o); err != nil {
			e.Fatal(err)
		}
		for o.InFlight() {
			if _, err := l.RunOnce(-1); err != nil {
				e.Fatal(err)
			}
		}
	}
	for range 100 { // tables and queues grow once
		round(run)
	}
	require.Zero(e, testing.AllocsPerRun(1000, func() { round(run) }))
}

func socketRoundAllocs(e *env) {
	e.loop = e.newLoop(Config{})
	a, b := e.fds(unix.SOCK_STREAM)
	in, out := e.register(a, nil), e.register(b, nil)
	last := 0
	rd := op.Op{Done: func(o *op.Op) { last, _ = o.Result() }}
	wr := op.Op{Done: func(o *op.Op) {}}
	data, buf := []byte("ping"), make([]byte, 64)
	allocs(e, func(run func(*op.Op)) {
		if _, err := e.loop.Submit(rd.Recv(in, buf)); err != nil {
			e.Fatal(err)
		}
		run(wr.Send(out, data))
		for rd.InFlight() {
			_, _ = e.loop.RunOnce(-1)
		}
	})
	require.Equal(e, len(data), last)
}

func sendFileAllocs(e *env) {
	e.loop = e.newLoop(Config{})
	a, b := e.fds(unix.SOCK_STREAM)
	in, out := e.register(a, nil), e.register(b, nil)
	h, _ := e.file([]byte("contents"))
	last := 0
	rd := op.Op{Done: func(o *op.Op) {}}
	wr := op.Op{Done: func(o *op.Op) { last, _ = o.Result() }}
	buf := make([]byte, 8)
	allocs(e, func(run func(*op.Op)) {
		run(wr.SendFile(out, h, 3, op.ToTheEnd))
		run(rd.Recv(in, buf))
	})
	require.Equal(e, 5, last)
	require.Equal(e, "tents", string(buf[:5]))
}

func fileReadAllocs(e *env) {
	e.loop = e.newLoop(Config{})
	h, _ := e.file([]byte("contents"))
	last := 0
	rd := op.Op{Done: func(o *op.Op) { last, _ = o.Result() }}
	buf := make([]byte, 8)
	allocs(e, func(run func(*op.Op)) { run(rd.ReadAt(h, buf, 0)) })
	require.Equal(e, len(buf), last)
}

func timerAllocs(e *env) {
	e.loop = e.newLoop(Config{})
	o := op.Op{Done: func(o *op.Op) {}}
	allocs(e, func(run func(*op.Op)) { run(o.Timeout(0)) })
}
