//go:build linux

package optest

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The tests of unix sockets: descriptors that are passed, and messages on a
// connection.
var rightsTests = []test{
	{"Rights_ADescriptorIsPassed", rightsPassed},
	{"Rights_InMessagesOfEachKindOfSocket", rightsKinds},
	{"Rights_ComeInBuffers", rightsInBuffers},
	{"Rights_ThatAreNotTakenAreClosed", rightsDropped},
	{"Rights_WithoutRoomAreClosed", rightsTruncated},
	{"Rights_AReceiveThatDidNotAskClosesThem", rightsUnasked},
	{"Rights_OfACancelledReceiveAreNotLost", rightsCancelled},
	{"Rights_WithAWholeStreamGoOnce", rightsOnce},
	{"Rights_ToAndFromAnotherProcess", rightsProcess},
	{"Seqpacket_KeepsBoundsAndEnds", seqpacket},
	{"Seqpacket_EndsInBuffers", seqpacketEach},
	{"Seqpacket_WhatIsBehindAnEmptyMessageStays", seqpacketEmpty},
	{"Seqpacket_RightsWithAnEmptyMessageAreClosed", seqpacketEmptyRights},
	{"Seqpacket_BetweenTwoHandles", seqpacketHandles},
}

// unixConns returns two connected sockets of the loop.
func (e *env) unixConns(kind int) (a, b *proactor.Conn) {
	e.Helper()
	x, y := e.fds(kind)
	a, err := e.loop.NewConn(x)
	require.NoError(e, err)
	b, err = e.loop.NewConn(y)
	require.NoError(e, err)
	return a, b
}

// pipeFDs returns a pipe whose read end is closed with the test.
func (e *env) pipeFDs() (r *os.File, w int) {
	e.Helper()
	var p [2]int
	require.NoError(e, unix.Pipe2(p[:], unix.O_CLOEXEC))
	r = os.NewFile(uintptr(p[0]), "pipe")
	e.Cleanup(func() { r.Close() })
	return r, p[1]
}

// sends sends one byte with descriptors and closes them, as they have been sent.
func (e *env) sends(h op.Target, fds ...int) {
	e.Helper()
	m := &op.Message{Data: []byte("x"), Control: op.Control(nil).AppendRights(fds...)}
	n, err := e.do(func(o *op.Op) *op.Op { return o.SendMsg(h, m) })
	require.NoError(e, err)
	require.Equal(e, 1, n)
	for _, fd := range fds {
		require.NoError(e, unix.Close(fd))
	}
}

// writes checks that fd is the write end of the pipe that r reads, and closes it.
func (e *env) writes(fd int, r io.Reader) {
	e.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(e, err)
	require.NotZero(e, flags&unix.FD_CLOEXEC, "close-on-exec")
	_, err = unix.Write(fd, []byte("through"))
	require.NoError(e, err)
	require.NoError(e, unix.Close(fd))
	all, err := io.ReadAll(r) // it ends: nobody else has the write end
	require.NoError(e, err)
	require.Equal(e, "through", string(all))
}

func rightsPassed(e *env) {
	e.start()
	a, b := e.unixConns(unix.SOCK_STREAM)
	r, w := e.pipeFDs()
	e.sends(a, w)
	m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, op.ControlSpace(4))}
	got := make(chan []int, 1)
	_, err := b.RecvMsg(m, func(n int, err error) {
		if n == 1 && err == nil {
			got <- m.Rights()
			got <- m.Rights()
		}
	})
	require.NoError(e, err)
	fds := await(e, got)
	require.Len(e, fds, 1)
	e.writes(fds[0], r)
	require.Empty(e, await(e, got), "taken once")
}

func rightsKinds(e *env) {
	e.start()
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET, unix.SOCK_DGRAM} {
		x, y := e.fds(kind)
		a, b := e.register(x, nil), e.register(y, nil)
		r1, w1 := e.pipeFDs()
		r2, w2 := e.pipeFDs()
		e.sends(a, w1, w2)
		m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, op.ControlSpace(8))}
		n, err := e.do(func(o *op.Op) *op.Op { return o.RecvMsg(b, m) })
		require.NoError(e, err)
		require.Equal(e, 1, n)
		fds := m.Rights()
		require.Len(e, fds, 2)
		e.writes(fds[0], r1)
		e.writes(fds[1], r2)
	}
}

func rightsInBuffers(e *env) {
	e.start()
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET, unix.SOCK_DGRAM} {
		x, y := e.fds(kind)
		a, b := e.register(x, nil), e.register(y, nil)
		got := make(chan []int, 1)
		o := &op.Op{Done: func(o *op.Op) {
			if b := o.Buffer(); b != nil {
				got <- b.Rights()
				b.Release()
			}
		}}
		_, err := e.loop.Submit(o.RecvMsgEach(b, op.ControlSpace(4)))
		require.NoError(e, err)
		for range 3 {
			r, w := e.pipeFDs()
			e.sends(a, w)
			fds := await(e, got)
			require.Len(e, fds, 1)
			e.writes(fds[0], r)
		}
	}
}

// ended waits until nobody has the write end of the pipe.
func (e *env) ended(r *os.File) {
	e.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(r)
		done <- err
	}()
	require.NoError(e, await(e, done))
}

func rightsDropped(e *env) {
	e.start()
	a, b := e.unixConns(unix.SOCK_STREAM)
	r, w := e.pipeFDs()
	e.sends(a, w)
	m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, op.ControlSpace(4))}
	done := make(chan error, 1)
	_, err := b.RecvMsg(m, func(n int, err error) { done <- err })
	require.NoError(e, err)
	require.NoError(e, await(e, done))
	e.ended(r)
	// In a Buffer that is released, that is sent, and that nobody takes.
	for _, use := range []func(o *op.Op){
		func(o *op.Op) { o.Buffer().Release() },
		func(o *op.Op) { _, _ = b.SendBuffer(o.Buffer(), nil) },
		func(o *op.Op) {},
	} {
		r, w := e.pipeFDs()
		got := make(chan bool, 9)
		o := &op.Op{Done: func(o *op.Op) {
			if o.More() {
				use(o)
			}
			got <- o.More()
		}}
		t, err := e.loop.Submit(o.RecvMsgEach(b, op.ControlSpace(4)))
		require.NoError(e, err)
		e.sends(a, w)
		require.True(e, await(e, got))
		e.ended(r)
		e.loop.Cancel(t)
		require.False(e, await(e, got))
	}
}

func rightsTruncated(e *env) {
	e.start()
	a, b := e.unixConns(unix.SOCK_STREAM)
	r1, w1 := e.pipeFDs()
	r2, w2 := e.pipeFDs()
	r3, w3 := e.pipeFDs()
	e.sends(a, w1, w2, w3)
	m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, op.ControlSpace(4))}
	type seen struct {
		n        int
		data, cc bool
	}
	got := make(chan seen, 1)
	_, err := b.RecvMsg(m, func(int, error) {
		var s seen
		s.data, s.cc = m.Truncated()
		for range m.Control.All() {
			s.n++
		}
		got <- s
	})
	require.NoError(e, err)
	require.Equal(e, seen{1, false, true}, await(e, got))
	for _, r := range []*os.File{r1, r2, r3} {
		e.ended(r)
	}
}

func rightsUnasked(e *env) {
	e.start()
	a, b := e.unixConns(unix.SOCK_STREAM)
	r, w := e.pipeFDs()
	e.sends(a, w)
	n, err := e.do(func(o *op.Op) *op.Op { return o.Recv(b, make([]byte, 10)) })
	require.NoError(e, err)
	require.Equal(e, 1, n)
	e.ended(r)
	// Never received: Close drops them.
	r, w = e.pipeFDs()
	e.sends(a, w)
	require.NoError(e, plain(e, b.Abort))
	e.ended(r)
}

// rightsCancelled cancels receives that a message may or may not have reached.
func rightsCancelled(e *env) {
	l := e.start()
	a, b := e.unixConns(unix.SOCK_STREAM)
	for range 100 {
		r, w := e.pipeFDs()
		m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, op.ControlSpace(4))}
		done := make(chan error, 1)
		t, err := b.RecvMsg(m, func(n int, err error) { done <- err })
		require.NoError(e, err)
		sent := make(chan struct{})
		go func() {
			e.sends(a, w)
			close(sent)
		}()
		l.Cancel(t)
		err = await(e, done)
		await(e, sent)
		if err != nil {
			require.ErrorIs(e, err, op.ErrCanceled)
			_, err = b.RecvMsg(m, func(n int, err error) { done <- err })
			require.NoError(e, err)
			require.NoError(e, await(e, done), "the message is still there")
		}
		e.ended(r)
	}
}

// rightsOnce sends more than a socket takes at once: what goes on doesn't send the
// descriptors again.
func rightsOnce(e *env) {
	e.start()
	a, b := e.unixConns(unix.SOCK_STREAM)
	r, w := e.pipeFDs()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	m := &op.Message{Data: data, Control: op.Control(nil).AppendRights(w)}
	sent := make(chan result, 1)
	_, err := a.SendMsg(m, func(n int, err error) { sent <- result{n, err} })
	require.NoError(e, err)
	var all []byte
	fds := 0
	in := &op.Message{Data: make([]byte, 1<<16), Control: make(op.Control, 0, op.ControlSpace(40))}
	for len(all) < len(data) {
		n, err := e.do(func(o *op.Op) *op.Op { return o.RecvMsg(b, in) })
		require.NoError(e, err)
		all = append(all, in.Data[:n]...)
		for _, fd := range in.Rights() {
			fds++
			require.NoError(e, unix.Close(fd))
		}
	}
	require.Equal(e, result{len(data), nil}, await(e, sent))
	require.True(e, bytes.Equal(data, all))
	require.Equal(e, 1, fds)
	require.NoError(e, unix.Close(w))
	e.ended(r)
}

// rightsProcess passes a descriptor to another process, which writes to it, and
// gets one from there.
func rightsProcess(e *env) {
	e.start()
	x, y := e.fds(unix.SOCK_STREAM)
	c, err := e.loop.NewConn(x)
	require.NoError(e, err)
	there := os.NewFile(uintptr(y), "socket")
	defer there.Close()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), passerVariable+"=1")
	child.ExtraFiles = []*os.File{there}
	child.Stderr = os.Stderr
	require.NoError(e, child.Start())
	defer func() { require.NoError(e, child.Wait()) }()
	r, w := e.pipeFDs()
	e.sends(c, w)
	m := &op.Message{Data: make([]byte, 10), Control: make(op.Control, 0, op.ControlSpace(4))}
	n, err := e.do(func(o *op.Op) *op.Op { return o.RecvMsg(c, m) })
	require.NoError(e, err)
	require.Equal(e, 1, n)
	fds := m.Rights()
	require.Len(e, fds, 1)
	back := os.NewFile(uintptr(fds[0]), "back")
	defer back.Close()
	all, err := io.ReadAll(back)
	require.NoError(e, err)
	require.Equal(e, "from there", string(all))
	buf := make([]byte, 99)
	n, err = r.Read(buf) // it wrote before it answered
	require.NoError(e, err)
	require.Equal(e, "written there", string(buf[:n]))
}

// passerVariable makes the test program the other process of rightsProcess.
const passerVariable = "PROACTOR_OPTEST_PASSER"

// passer takes a descriptor from the socket at 3 and writes to it, and sends one.
func passer() (err error) {
	f := os.NewFile(3, "socket")
	nc, err := net.FileConn(f)
	if err != nil {
		return err
	}
	c := nc.(*net.UnixConn)
	room := make([]byte, op.ControlSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), room)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseSocketControlMessage(room[:n])
	if err != nil {
		return err
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	if _, err = syscall.Write(fds[0], []byte("written there")); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if _, err = w.WriteString("from there"); err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix([]byte("y"), syscall.UnixRights(int(r.Fd())), nil)
	return err
}
