package proactor

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// SendFile sends n bytes of a file from the offset on, or with ToTheEnd all there is,
// behind what was submitted before (sendfile(2)). See op.Op.SendFile. The file must be of
// the connection's loop.
func (c *Conn) SendFile(f *File, off int64, n int, done func(n int, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.SendFile(c, f, off, n)
	return k.send(time.Duration(c.setting().sendTimeout.Load()))
}

// SendZeroCopy is Send of memory that the network card reads by itself; the callback
// comes when the memory is the caller's again. Copied tells whether the kernel has copied
// the data after all. See op.Op.SendZeroCopy.
func (c *Conn) SendZeroCopy(b []byte, done func(n int, copied bool, err error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.SendZeroCopy(c, b)
	return c.send(k, len(b))
}

// Relay moves what one connection receives to another. It is made by Pipe.
type Relay struct {
	dst, src *Conn
	op       op.Op
	ticket   atomic.Pointer[op.Ticket]
	pipe     *op.Pipe // holds what has come, nil while nothing has
	moved    atomic.Int64
	canceled atomic.Bool
	done     func(n int64, err error)
}

// Pipe's answers to connections that it can't serve.
var (
	errTwoLoops = errors.New("proactor: Pipe between connections of two loops; Move one")
	errBounds   = errors.New("proactor: Pipe would lose the bounds of messages")
)

// relayPiece is how much a relay moves in one piece at most, and so what it holds when
// the receiver is slow. A pipe of 256 KiB moved a stream with less CPU than one of
// 64 KiB, and a larger one no better.
const relayPiece = 256 << 10

// Pipe moves all that src receives to dst, without a copy through the program
// (splice(2)), until src comes to its end: then dst's writing side is shut down, and
// done gets the number of bytes moved. An error of either side ends it, too: dst is not
// shut down then, so that its reader doesn't take a part for the whole; most callers
// Abort both. Data that had come and couldn't be sent is lost, as with Send.
//
// Both directions of a connection are two Pipes. It takes its turn in src's line of
// receives and in dst's line of sends as one operation for each piece; a receiver that is
// slow holds the sender back. While src is idle it costs no kernel memory. The time-outs
// of src's receives and dst's sends hold for each piece.
func Pipe(dst, src *Conn, done func(n int64, err error)) (*Relay, error) {
	if done == nil {
		panic("proactor: Pipe without a callback")
	}
	if dst.loop != src.loop {
		return nil, errTwoLoops
	}
	if dst.State().Kind.HasBounds() || src.State().Kind.HasBounds() {
		return nil, errBounds
	}
	r := &Relay{dst: dst, src: src, done: done}
	r.op.Done = r.step
	return r, r.receive()
}

// Cancel ends the relay: its callback gets op.ErrCanceled, unless it was at its end. Any
// goroutine may call it.
func (r *Relay) Cancel() {
	r.canceled.Store(true)
	if t := r.ticket.Load(); t != nil {
		r.src.loop.Cancel(*t)
	}
}

// Moved returns how many bytes dst has taken so far. Any goroutine may call it.
func (r *Relay) Moved() int64 { return r.moved.Load() }

func (r *Relay) receive() error {
	return r.submit(r.op.SpliceInto(r.src, &r.src.loop.pipes, relayPiece), r.src.setting().recvTimeout.Load())
}

func (r *Relay) submit(o *op.Op, timeout int64) error {
	if timeout > 0 {
		o.SetTimeout(time.Duration(timeout))
	}
	t, err := r.src.loop.Submit(o)
	if err == nil {
		r.latest(&t)
		if r.canceled.Load() {
			r.src.loop.Cancel(t)
		}
	}
	return err
}

// latest keeps the ticket of what is under way. Pipe, which any goroutine calls, may be
// late with the first: the loop has submitted the next by then.
func (r *Relay) latest(t *op.Ticket) {
	if *t == r.op.First() {
		r.ticket.CompareAndSwap(nil, t)
	} else {
		r.ticket.Store(t)
	}
}

// step is the callback of each operation of the relay, and submits the next.
func (r *Relay) step(o *op.Op) {
	n, err := o.Result()
	switch o.Code() {
	case op.SpliceIn:
		if r.pipe = o.Pipe(); err == nil {
			err = r.submit(o.SpliceOut(r.dst, 0, r.pipe, n), r.dst.setting().sendTimeout.Load())
		} else if err == io.EOF {
			err = r.submit(o.Shutdown(r.dst, syscall.SHUT_WR), 0)
		}
	case op.SpliceOut:
		r.moved.Add(int64(n))
		r.free()
		if err == nil {
			err = r.receive()
		}
	case op.Shutdown:
		r.done(r.moved.Load(), err)
		return
	}
	if err != nil {
		r.free()
		r.done(r.moved.Load(), err)
	}
}

// free gives the pipe back.
func (r *Relay) free() {
	if r.pipe != nil {
		r.src.loop.pipes.Put(r.pipe)
		r.pipe = nil
	}
}
