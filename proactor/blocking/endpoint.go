package blocking

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// socket is what a Conn and a PacketConn of the loop have in common.
type socket interface {
	op.Target
	FD() int
	State() *op.HandleState
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Abort(done func(error)) error
}

// endpoint is what a Conn and a PacketConn of this package have in common.
type endpoint struct {
	net     *Net
	sock    socket
	network string
	local   net.Addr
	remote  net.Addr // nil if it has none
	rd, wr  side
	gate    gate
}

func (e *endpoint) init(n *Net, s socket, network string) {
	e.net, e.sock, e.network = n, s, network
	e.gate.loop, e.gate.state = n.loop, s.State()
	e.local, e.remote = named(s.LocalAddr()), named(s.RemoteAddr())
	s.State().Resumes = true // Write goes on itself where a send has stopped
}

// named gives a unix socket without a name the one that package net gives it.
func named(a net.Addr) net.Addr {
	if u, ok := a.(*net.UnixAddr); ok && u.Name == "" {
		u.Name = "@"
	}
	return a
}

// LocalAddr returns the socket's own address.
func (e *endpoint) LocalAddr() net.Addr { return e.local }

// RemoteAddr returns the peer's address, nil if the socket has no peer.
func (e *endpoint) RemoteAddr() net.Addr { return e.remote }

// SetDeadline sets the deadlines of reads and writes: see net.Conn.
func (e *endpoint) SetDeadline(t time.Time) error { return e.setDeadline(t, &e.rd, &e.wr) }

// SetReadDeadline sets the deadline of reads, also of those that wait already. A zero t
// is none.
func (e *endpoint) SetReadDeadline(t time.Time) error { return e.setDeadline(t, &e.rd) }

// SetWriteDeadline sets the deadline of writes, also of those that wait already. A zero
// t is none.
func (e *endpoint) SetWriteDeadline(t time.Time) error { return e.setDeadline(t, &e.wr) }

func (e *endpoint) setDeadline(t time.Time, sides ...*side) error {
	if e.gate.isClosed() {
		return &net.OpError{Op: "set", Net: e.network, Addr: e.local, Err: net.ErrClosed}
	}
	to := when(t)
	for _, s := range sides {
		s.setDeadline(e.net, to)
	}
	return nil
}

// Close closes the socket: reads and writes that wait return with net.ErrClosed. What
// was written is the kernel's and is still sent. Called in a callback of the loop it
// doesn't wait until the descriptor is closed.
func (e *endpoint) Close() error {
	err := e.gate.close()
	if err == nil {
		err = e.net.abort(e.sock)
		e.rd.release()
	}
	return e.opError("close", err)
}

// abort closes a handle whatever is under way on it.
func (n *Net) abort(t interface{ Abort(func(error)) error }) error {
	return n.closing(t.Abort)
}

// closing calls a verb that closes a handle, and waits for the end.
func (n *Net) closing(verb func(func(error)) error) error {
	if n.loop.Inside() {
		return verb(nil)
	}
	w := n.waiter()
	defer w.free()
	var failed error
	if err := verb(func(err error) {
		failed = err
		w.wake(nil)
	}); err != nil {
		if errors.Is(err, net.ErrClosed) {
			return nil // with the loop
		}
		return err
	}
	<-w.woken
	return failed
}

// opError dresses an error up as package net does; io.EOF stays what it is.
func (e *endpoint) opError(what string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: what, Net: e.network, Source: e.local, Addr: e.remote, Err: err}
}

// now executes the waiter's operation at once, if the kernel doesn't have to wait.
func (e *endpoint) now(w *waiter) (n int, done bool, err error) {
	if err := e.net.loop.Use(e.gate.state); err != nil {
		return 0, true, err
	}
	defer e.net.loop.Unuse(e.gate.state)
	return w.try()
}

// SyscallConn returns access to the descriptor. Its Read and Write wait, by the loop,
// while the function returns false, and have the deadlines of the connection's.
func (e *endpoint) SyscallConn() (syscall.RawConn, error) {
	if e.gate.isClosed() {
		return nil, net.ErrClosed
	}
	return rawConn{e}, nil
}

type rawConn struct{ e *endpoint }

// Control calls f with the descriptor, which stays open meanwhile.
func (r rawConn) Control(f func(fd uintptr)) error {
	err := r.e.control(f)
	if err != nil {
		err = &net.OpError{Op: "raw-control", Net: r.e.network, Addr: r.e.local, Err: err}
	}
	return err
}

func (e *endpoint) control(f func(fd uintptr)) error {
	return e.gate.use(func() { f(uintptr(e.sock.FD())) })
}

// Read calls f again each time that there is something to read, until it returns true.
func (r rawConn) Read(f func(fd uintptr) bool) error {
	return r.e.opError("raw-read", r.e.untilTrue(&r.e.rd, pollIn, f))
}

// Write calls f again each time that there is room to write, until it returns true.
func (r rawConn) Write(f func(fd uintptr) bool) error {
	return r.e.opError("raw-write", r.e.untilTrue(&r.e.wr, pollOut, f))
}

// As poll(2) has them.
const (
	pollIn  = 1
	pollOut = 4
)

func (e *endpoint) untilTrue(s *side, events uint32, f func(fd uintptr) bool) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	w := e.net.waiter()
	defer w.free()
	for {
		done := false
		if err := s.overdue(); err != nil {
			return err
		}
		if err := e.control(func(fd uintptr) { done = f(fd) }); err != nil || done {
			return err
		}
		w.op.Poll(e.sock, events)
		if _, moved, err := s.do(w); err != nil && !moved {
			return err
		}
	}
}
