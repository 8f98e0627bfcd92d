package main

import (
	"errors"
	"io"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// direction moves what one side of a session sends to the other side.
//
// It does so in one of two ways. Streams are spliced, from the socket into a pipe and from
// there into the other socket, which copies nothing through the program: a MiB costs a
// quarter of what it costs with copies. Small pieces cost a third less when they are
// received into Buffers of the loop's pool and sent from there. Neither way holds memory
// while there is nothing to move. A direction begins with splices, because on a ring a
// stream would fill many Buffers before the receive could be stopped, and changes over by
// what it sees: see trickle and stream. (bench/versus, contests proxy-echo, proxy-stream
// and proxy-visit, with -relay.)
type direction struct {
	s        *session
	src, dst *proactor.Conn

	op     proactor.Op // receives, or splices, and at the end shuts dst down
	ticket proactor.Ticket
	pipe   *op.Pipe // what is being spliced out

	queued int   // bytes of Buffers that are being sent
	large  int   // bytes of large pieces in a row
	small  int   // small pieces in a row
	moved  int64 // bytes that dst has taken
	paused bool  // dst has too many bytes to take

	turning   bool // away from Buffers: the end of the receive is awaited
	noSplices bool // for want of a pipe
	discard   bool // dst takes nothing more, src is read to its end
	end       ending
	err       error // of what failed
}

// ending is how far a direction is from its end.
type ending uint8

const (
	flowing   ending = iota
	flushing         // src is at its end, dst is being told
	ended            // dst has been told
	srcFailed        // src was reset
	dstFailed        // dst was reset, or takes nothing more for another reason
)

// When a direction changes over.
const (
	smallPiece = 4 << 10  // a trickle are
	trickle    = 8        // so many pieces below smallPiece in a row,
	largePiece = 8 << 10  // and a stream is
	stream     = 32 << 10 // so many bytes in pieces of at least largePiece, with no smaller one between
)

// The water marks: how many bytes of Buffers wait for a slow receiver.
const (
	highWater = 128 << 10
	lowWater  = 32 << 10
)

// splicePiece is how much is spliced at once, and the size of the pipes.
const splicePiece = 256 << 10

func (d *direction) init(s *session, src, dst *proactor.Conn) {
	d.s, d.src, d.dst = s, src, dst
	d.op.Done = d.done
	d.noSplices = s.w.p.relay == relayBuffers
}

// start begins to receive.
func (d *direction) start() {
	if d.noSplices {
		d.receive()
	} else {
		d.spliceIn()
	}
}

func (d *direction) other() *direction {
	if d == &d.s.up {
		return &d.s.down
	}
	return &d.s.up
}

// submit is refused only when the handles are closing, whose callbacks do the rest.
func (d *direction) submit(o *proactor.Op) { d.ticket, _ = d.s.w.loop.Submit(o) }

func (d *direction) receive() {
	d.large, d.small, d.paused = 0, 0, false
	d.submit(d.op.RecvEach(d.src))
}

func (d *direction) spliceIn() { d.submit(d.op.SpliceInto(d.src, d.s.w.pipes, splicePiece)) }

// done is the callback of the direction's own operation.
func (d *direction) done(o *proactor.Op) {
	n, err := o.Result()
	d.s.seen = d.s.w.tick
	switch o.Code() {
	case op.RecvEach:
		if o.More() {
			d.received(o.Buffer())
		} else {
			d.receiveEnded(err)
		}
	case op.SpliceIn:
		d.splicedIn(o.Pipe(), n, err)
	case op.SpliceOut:
		d.splicedOut(n, err)
	case op.Shutdown:
		d.shut(err)
	}
}

// received sends what has come on.
func (d *direction) received(b *proactor.Buffer) {
	if d.end != flowing {
		b.Release()
		return
	}
	n := b.Len()
	d.queued += n
	d.s.w.send(d, b)
	if n < largePiece {
		d.large = 0
	} else {
		d.large += n
	}
	switch {
	case d.turning:
	case d.large >= stream && !d.noSplices:
		d.s.w.stats.streams++
		d.turn()
	case d.queued > highWater && !d.paused:
		d.paused = true
		d.s.w.loop.Pause(d.ticket)
	}
}

// turn ends the receive into Buffers, and begins anew behind what has come.
func (d *direction) turn() {
	d.turning = true
	d.s.w.loop.Cancel(d.ticket)
}

// receiveEnded follows the last piece.
func (d *direction) receiveEnded(err error) {
	turning := d.turning
	d.turning = false
	switch {
	case errors.Is(err, op.ErrCanceled) && d.discard && !d.s.closing:
		d.receive()
	case errors.Is(err, op.ErrCanceled) && d.end != flowing:
	case errors.Is(err, op.ErrCanceled) && turning:
		d.start()
	default:
		d.srcEnded(err)
	}
}

// sent follows a send of n bytes of Buffers, of which dst took moved.
func (d *direction) sent(n, moved int, err error) {
	d.s.seen = d.s.w.tick
	d.queued -= n
	d.took(moved)
	switch {
	case err != nil:
		d.dstFailed(err)
	case d.paused && d.queued <= lowWater:
		d.paused = false
		d.s.w.loop.Resume(d.ticket)
	}
	if d.end == srcFailed && d.queued == 0 {
		d.s.abort()
	}
}

// took counts bytes that have arrived at dst's socket.
func (d *direction) took(n int) {
	d.moved += int64(n)
	if d == &d.s.up {
		d.s.w.stats.bytesUp += int64(n)
	} else {
		d.s.w.stats.bytesDown += int64(n)
	}
}

func (d *direction) splicedIn(p *op.Pipe, n int, err error) {
	switch {
	case err == nil && d.end == flowing:
		d.pipe = p
		d.weigh(n)
		d.submit(d.op.SpliceOut(d.dst, 0, p, n))
		if !d.op.InFlight() {
			d.freePipe()
		}
	case p != nil: // dst failed meanwhile
		d.s.w.pipes.Put(p)
	case err != nil && lacking(err): // no pipe to be had
		d.noSplices = true
		d.receive()
	case errors.Is(err, op.ErrCanceled) && d.end != flowing:
		if d.discard {
			d.receive()
		}
	default:
		d.srcEnded(err)
	}
}

// weigh counts small pieces in a row.
func (d *direction) weigh(n int) {
	if n < smallPiece {
		d.small++
	} else {
		d.small = 0
	}
}

func (d *direction) splicedOut(n int, err error) {
	d.freePipe()
	d.took(n)
	switch {
	case err != nil:
		d.dstFailed(err)
	case d.small >= trickle && d.s.w.p.relay == relayAuto:
		d.s.w.stats.trickles++
		d.receive()
	default:
		d.spliceIn()
	}
}

// freePipe gives the pipe back; with something in it, it is closed.
func (d *direction) freePipe() {
	if d.pipe != nil {
		d.s.w.pipes.Put(d.pipe)
		d.pipe = nil
	}
}

// srcEnded follows the end of src, or its failure. All that came before has been
// submitted to be sent.
func (d *direction) srcEnded(err error) {
	switch {
	case d.s.closing:
	case d.discard:
		d.s.close()
	case d.end != flowing:
	case err == io.EOF && d.other().reset():
		d.fail(srcFailed, d.other().err) // the reset has shown in a send to it already
	case err == io.EOF:
		d.end = flushing
		d.submit(d.op.Shutdown(d.dst, syscall.SHUT_WR))
	default:
		d.fail(srcFailed, err)
	}
}

// shut follows the shutdown of dst's writing side: its reader sees the end.
func (d *direction) shut(err error) {
	if d.end != flushing || d.s.closing {
		return
	}
	d.end = ended
	switch other := d.other(); other.end {
	case ended:
		d.s.close()
	case dstFailed:
		other.drain()
	}
}

// dstFailed follows a send that failed.
func (d *direction) dstFailed(err error) {
	if d.s.closing || d.end == dstFailed || d.end == srcFailed {
		return
	}
	d.fail(dstFailed, err)
	switch other := d.other(); {
	case other.end == ended:
		d.drain()
	case other.end == dstFailed:
		d.s.abort()
	case d.op.InFlight():
		d.s.w.loop.Cancel(d.ticket) // what src still sends is of no use
	}
}

// reset reports whether dst was seen to be reset. A reset of a connection whose stream
// had come to its end before is EPIPE (tcp_reset in Linux): then nothing is missing.
func (d *direction) reset() bool {
	return d.end == dstFailed && !errors.Is(d.err, syscall.EPIPE)
}

// fail ends the direction before its time. What dst has sent may still be on its way to
// src, a server's last answer for example: that direction goes on until it sees the end
// by itself.
func (d *direction) fail(how ending, err error) {
	d.end, d.err = how, err
	d.s.w.stats.broken++
	if how == srcFailed && d.queued == 0 {
		d.s.abort()
	}
}

// drain reads src to its end, and closes then: to close with input unread would reset
// the connection, and src might miss the end of what was sent to it.
func (d *direction) drain() {
	d.discard = true
	d.s.drainSince = d.s.w.tick
	if d.op.InFlight() {
		if d.op.Code() == op.SpliceIn {
			d.s.w.loop.Cancel(d.ticket)
		} else if d.paused {
			d.paused = false
			d.s.w.loop.Resume(d.ticket)
		}
		return
	}
	d.receive()
}

// lacking reports whether an error says that the system, or its limits, have run out of
// something: it is nobody's fault, and passes.
func lacking(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
