package proactor

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

type handle = op.Handle // embedded: its FD method is promoted, its name is not

// Conn is a connected socket of a loop: a stream, or of network "unixpacket". Its methods
// may be called by any goroutine; they submit an operation and return, and the callback
// runs on the loop. A nil callback is allowed: nobody wants to know.
//
// The buffer belongs to the loop from the call until the callback; without one, until
// that of Close, which is the last. An error of the call leaves it the caller's, but for
// a Buffer: SendBuffer has released it. For full control, and no closure, submit an Op of
// your own that names the Conn.
type Conn struct {
	handle
	loop     *Loop
	each     atomic.Pointer[receiver] // of RecvEach
	settings atomic.Pointer[settings]
}

// settings are what few connections have: they would cost the others memory.
type settings struct {
	recvTimeout atomic.Int64
	sendTimeout atomic.Int64
	marks       atomic.Pointer[marks]
}

var noSettings settings // never changed

// set returns the connection's settings, to change them.
func (c *Conn) set() *settings {
	c.settings.CompareAndSwap(nil, new(settings))
	return c.settings.Load()
}

// setting returns the connection's settings, to read them.
func (c *Conn) setting() *settings {
	if s := c.settings.Load(); s != nil {
		return s
	}
	return &noSettings
}

// NewConn makes a connected socket a Conn of the loop, which makes it non-blocking and
// owns the descriptor from here on; on an error (EBADF; ErrClosed: the loop is) it stays
// the caller's. Any goroutine may call it.
func (l *Loop) NewConn(fd int) (*Conn, error) {
	c := &Conn{loop: l}
	if err := l.adopt(&c.handle, fd, unknownFlags); err != nil {
		return nil, err
	}
	return c, nil
}

// newConnOf is NewConn for a socket that the loop itself made.
func (l *Loop) newConnOf(fd int, k op.Kind, unix bool) (*Conn, error) {
	c := &Conn{loop: l}
	c.State().Unix = unix
	if err := l.addHandle(&c.handle, fd, k, false); err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	return c, nil
}

// Loop returns the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// SetRecvTimeout limits each receive submitted from now on: it ends with
// os.ErrDeadlineExceeded when nothing came for d. Zero is no limit. It holds for this
// type's methods, not for an Op of the caller's own: see op.Op.SetTimeout.
func (c *Conn) SetRecvTimeout(d time.Duration) { c.set().recvTimeout.Store(int64(d)) }

// SetSendTimeout limits each send submitted from now on, waiting in line included: it
// ends with os.ErrDeadlineExceeded and the count of bytes that were sent. Zero is no
// limit.
func (c *Conn) SetSendTimeout(d time.Duration) { c.set().sendTimeout.Store(int64(d)) }

// Recv receives into b: at least one byte, io.EOF at the end of the stream, or
// an error (recv(2)). The error returned is ErrClosed or op.ErrFull, and then
// there is no callback; this holds for all methods that take one.
func (c *Conn) Recv(b []byte, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Recv(c, b)
	return k.send(time.Duration(c.setting().recvTimeout.Load()))
}

// RecvEach receives one piece after the other (recv(2)), each into a Buffer that
// is chosen from the loop's pool when there is data: an idle connection holds
// none. The Buffer is the callback's: to Release, to keep, or to hand to
// SendBuffer. The last callback has an error and no Buffer: io.EOF at the end of
// the stream. The connection's receive time-out is then the longest time between
// two pieces.
//
// When the pool is empty, or the connection has as many Buffers out as WithQuota
// allows, receiving pauses; nothing is lost, and it goes on by itself when Buffers
// come back. A second RecvEach while one is under way waits for its end.
func (c *Conn) RecvEach(each func(*op.Buffer, error)) error {
	if each == nil {
		panic("proactor: RecvEach without a callback")
	}
	x := &receiver{each: c.loop.named(each)}
	x.op.Done = received
	x.op.RecvEach(c)
	if d := c.setting().recvTimeout.Load(); d > 0 {
		x.op.SetTimeout(time.Duration(d))
	}
	before := c.each.Swap(x) // before the first callback, which may pause
	_, err := c.loop.Submit(&x.op)
	if err != nil {
		c.each.CompareAndSwap(x, before)
	}
	return err
}

// receiver is a RecvEach under way. Its operation is submitted once.
type receiver struct {
	op   op.Op
	each func(*op.Buffer, error)
}

// received is the callback of a receiver's operation, which is its first field: a
// method value instead would be memory for each connection.
func received(o *op.Op) {
	x := (*receiver)(unsafe.Pointer(o))
	_, err := o.Result()
	x.each(o.Buffer(), err)
}

// PauseRecv stops the RecvEach under way until ResumeRecv; what has already been
// received still comes. It is how a slow consumer holds its peer back.
func (c *Conn) PauseRecv() {
	if x := c.each.Load(); x != nil {
		c.loop.Pause(x.op.First())
	}
}

// ResumeRecv ends PauseRecv.
func (c *Conn) ResumeRecv() {
	if x := c.each.Load(); x != nil {
		c.loop.Resume(x.op.First())
	}
}

// SendBuffer is Send of what a Buffer holds. The Buffer is the loop's from the
// call on, and goes back to its pool when it is sent, or can't be: also when
// SendBuffer returns an error.
func (c *Conn) SendBuffer(b *op.Buffer, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		b.Release()
		return op.Ticket{}, err
	}
	k.f = done
	k.op.SendBuffer(c, b)
	t, err := c.send(k, b.Len())
	if err != nil {
		b.Release()
	}
	return t, err
}

// Send sends all of b, behind what was submitted before it (send(2)). An error
// comes with the count of bytes that were sent; what is queued behind then fails
// with op.ErrTorn (rule 5).
func (c *Conn) Send(b []byte, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Send(c, b)
	return c.send(k, len(b))
}

// SendBuffers is Send of several buffers (sendmsg(2)); the slice of slices, too,
// belongs to the loop until the callback.
func (c *Conn) SendBuffers(v [][]byte, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Sendv(c, v)
	return c.send(k, k.op.Req().Total())
}

// RecvMsg is Recv with control messages (recvmsg(2)), of a unix socket for example.
// Descriptors that came with the data, and that the callback doesn't take by
// Message.Rights, are closed when it returns. The Message, with the memory that it
// names, is the loop's until then.
func (c *Conn) RecvMsg(m *op.Message, done func(n int, err error)) (op.Ticket, error) {
	return c.loop.recvMsg(c, m, done, time.Duration(c.setting().recvTimeout.Load()))
}

// SendMsg is Send with control messages (sendmsg(2)). They go with the first byte of
// the data, of which there must be one. The Message, with the memory that it names, is
// the loop's until the callback.
func (c *Conn) SendMsg(m *op.Message, done func(n int, err error)) (op.Ticket, error) {
	return c.loop.sendMsg(c, m, done, time.Duration(c.setting().sendTimeout.Load()))
}

// recvMsg is RecvMsg of Conn and PacketConn.
func (l *Loop) recvMsg(t op.Target, m *op.Message, done func(n int, err error), d time.Duration) (op.Ticket, error) {
	if m == nil {
		panic("proactor: RecvMsg without a Message")
	}
	k, err := l.calls.get(l, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = func(n int, err error) {
		defer m.Passed().Drop() // what a panic leaves, too
		if done != nil {
			done(n, err)
		}
	}
	k.op.RecvMsg(t, m)
	return k.send(d)
}

// sendMsg is SendMsg of Conn and PacketConn.
func (l *Loop) sendMsg(t op.Target, m *op.Message, done func(n int, err error), d time.Duration) (op.Ticket, error) {
	if m == nil {
		panic("proactor: SendMsg without a Message")
	}
	k, err := l.calls.get(l, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.SendMsg(t, m)
	return k.send(d)
}

// CloseWrite tells the peer that nothing more will come, behind the sends
// submitted before (shutdown(2)).
func (c *Conn) CloseWrite(done func(error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Shutdown(c, syscall.SHUT_WR)
	return k.send(0)
}

// Close closes the connection in order (rule 7): queued sends are flushed for
// at most the loop's linger time, receives end with ErrClosed, the peer sees the
// end of the stream. Its callback is the connection's last. It returns ErrClosed
// if the connection is already closed or closing.
func (c *Conn) Close(done func(error)) error {
	return c.loop.closeHandle(c, done, c.loop.opts.linger)
}

// Move takes the connection to another loop: done gets it anew, on the other loop's
// goroutine, and this Conn is closed then. A RecvEach under way ends with ErrClosed, and
// nothing received is lost: what came before the end has its callbacks before done.
//
// With other operations under way, receives, sends, polls, it is refused: done gets
// ErrPending on this loop's goroutine, and the connection goes on as if nobody had
// asked. So move it when the callbacks of the last sends have run. What is submitted
// between the call and the loop's look at it counts as under way, or ends with
// ErrClosed. Time-outs and water marks are to be set anew. If Move fails with another
// error the connection is closed. It returns
// ErrClosed if that is already closing.
func (c *Conn) Move(to *Loop, done func(*Conn, error)) error {
	if done == nil {
		panic("proactor: Move without a callback")
	}
	o := &op.Op{Done: func(o *op.Op) {
		fd, err := o.Result()
		if err != nil {
			done(nil, err)
			return
		}
		n, err := to.newConnOf(fd, c.State().Kind, c.State().Unix)
		if err == nil {
			torn := c.State().Torn
			move := func() {
				n.State().Torn = torn
				done(n, nil)
			}
			if err = to.Post(move); err != nil {
				_ = n.Abort(nil)
			}
		}
		if err != nil {
			done(nil, err)
		}
	}}
	_, err := c.loop.Submit(o.DetachIdle(c))
	return err
}

// Post runs f on the connection's loop: see Loop.Post.
func (c *Conn) Post(f func()) error { return c.loop.Post(f) }

// Busy counts work on the connection that its loop can't see, a request that a
// goroutine computes for example: Group.Shutdown lets a connection finish while
// its count is above zero, or something is being sent, or Buffers are out. A positive n
// adds work, a negative one takes it off again. Any goroutine may call it.
func (c *Conn) Busy(n int) { c.State().AddBusy(n) }

// Abort closes the connection at once: what is queued or under way is cancelled.
// It also cuts a Close short.
func (c *Conn) Abort(done func(error)) error { return c.loop.abortHandle(c, done) }

func (l *Loop) closeHandle(t op.Target, done func(error), linger time.Duration) error {
	return l.closeHandleAt(t, done, linger, place{})
}

func (l *Loop) closeHandleAt(t op.Target, done func(error), linger time.Duration, at place) error {
	k, _ := l.calls.get(l, true)
	k.f, k.at = done, at
	k.op.Close(t, linger)
	_, err := k.send(0)
	return err
}

func (l *Loop) abortHandle(t op.Target, done func(error)) error {
	return l.abortHandleAt(t, done, place{})
}

func (l *Loop) abortHandleAt(t op.Target, done func(error), at place) error {
	k, _ := l.calls.get(l, true)
	k.f, k.at = done, at
	k.op.Abort(t)
	_, err := k.send(0)
	return err
}

// LocalAddr returns the socket's own address, nil if it is closed (getsockname(2)).
func (c *Conn) LocalAddr() net.Addr { return socketAddr(&c.handle, false) }

// RemoteAddr returns the peer's address, nil if there is none any more
// (getpeername(2)). Ask before the peer is gone.
func (c *Conn) RemoteAddr() net.Addr { return socketAddr(&c.handle, true) }

func socketAddr(h *op.Handle, peer bool) net.Addr {
	if sa, err := socketName(h.FD(), peer); err == nil {
		return netAddr(sa, h.State().Kind)
	}
	return nil
}
