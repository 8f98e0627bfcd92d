package proactor

import (
	"errors"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// settle judges an attempt that the engine has returned: the operation is done,
// or it goes on. All that both engines must agree on is decided here.
func (l *Loop) settle(c op.Completion) {
	o := c.Op
	r := o.Req()
	if r.Code.Info().Multi {
		l.settleEach(c)
		return
	}
	if r.Off > 1 && (r.Code == op.Send || r.Code == op.SendMsg) {
		l.settleGathered(o, c.Ret)
		return
	}
	r.Ret = c.Ret
	switch r.Code {
	case op.SendZC:
		if l.settleZeroCopy(c) {
			return
		}
	case op.Close:
		l.settleClose(o)
		return
	case op.RecvMsg:
		r.Message().Received(c.Ret)
	}
	if r.Ret < 0 {
		l.settleError(o)
		return
	}
	switch r.Code.Info().Shape {
	case op.Plain:
		r.Moved = int(r.Ret)
		if r.Code == op.Connect {
			r.Handle.State().Connected = true
		}
		l.finish(o, 0)
	case op.Opened:
		l.settleOpened(o)
	case op.Some:
		r.Moved = int(r.Ret)
		if r.Ret == 0 && r.Handle.State().Kind != op.Packet && r.Total() > 0 {
			l.finish(o, int32(op.EOF))
		} else {
			l.finish(o, 0)
		}
	case op.Whole:
		l.settleWhole(o)
	}
}

func (l *Loop) settleWhole(o *op.Op) {
	r := o.Req()
	r.Moved += int(r.Ret)
	switch {
	case r.Moved >= r.Total():
		l.finish(o, 0)
	case r.Ret == 0 && r.Code == op.SendFile:
		l.finish(o, r.AtEOF())
	case r.Ret == 0 && r.Code.Info().Write:
		l.finish(o, int32(op.ShortWrite))
	case r.Ret == 0, l.lastPiece(r):
		l.finish(o, int32(op.EOF))
	case r.Why != op.NotAsked:
		l.finish(o, statusOf(r.Why))
	default:
		l.stats.Continued++
		l.attempt(o)
	}
}

// lastPiece recognises the end of a file read with O_DIRECT: a piece that is no
// whole number of sectors. Going on behind it could be EINVAL, as not aligned.
func (l *Loop) lastPiece(r *op.Req) bool {
	return r.Code.Info().At && !r.Code.Info().Write && r.Handle.State().Kind == op.Direct && r.Ret%512 != 0
}

// settleOpened delivers a new descriptor; if the handle or the loop that would
// have wanted it is closing, nobody will look after it (rule 9).
func (l *Loop) settleOpened(o *op.Op) {
	r := o.Req()
	if l.closing || r.Handle != nil && r.Handle.State().Closing() {
		op.CloseFD(int(r.Ret))
		l.finish(o, int32(op.Closed))
		return
	}
	r.Moved = int(r.Ret)
	if r.Code == op.OpenAt2 && r.Args().Into != nil {
		a := r.Args()
		l.finish(o, l.openedInto(a.Into, r.Moved, int(a.How.Flags)))
		return
	}
	l.finish(o, 0)
}

// openedInto makes a new descriptor a handle.
func (l *Loop) openedInto(h *op.Handle, fd, flags int) int32 {
	if h.State().Loop != 0 { // two operations were to open it
		op.CloseFD(fd)
		return -int32(syscall.EBUSY)
	}
	err := l.adopt(h, fd, flags)
	if err == nil {
		return 0
	}
	op.CloseFD(fd)
	var e syscall.Errno
	if errors.As(err, &e) {
		return -int32(e)
	}
	return int32(op.Closed)
}

func (l *Loop) settleError(o *op.Op) {
	r := o.Req()
	switch syscall.Errno(-r.Ret) {
	case syscall.EINTR, syscall.ECANCELED:
		// Nobody asked: a signal, or on kernels before 6.0 the cancel of another
		// operation that the same kernel worker had just ended.
		if r.Why == op.NotAsked && !l.closing {
			l.attempt(o)
		} else if r.Why == op.NotAsked {
			l.finish(o, int32(op.Closed))
		} else {
			l.finish(o, statusOf(r.Why))
		}
	default:
		l.finish(o, r.Ret)
	}
}

func statusOf(w op.Why) int32 {
	switch w {
	case op.ByCancel:
		return int32(op.Canceled)
	case op.ByDeadline:
		return int32(op.DeadlineExceeded)
	}
	return int32(op.Closed)
}

// finish ends an operation: its callback is due, and whoever waited behind it
// has its turn. Status is 0, a negative errno or an op.Status.
func (l *Loop) finish(o *op.Op, status int32) {
	h := o.Req().Handle
	if h == nil {
		l.conclude(o, &l.loose, status)
		return
	}
	s := h.State()
	line := s.Position(o.Req().Code)
	if line == nil {
		l.conclude(o, &s.Loose, status)
	} else {
		l.conclude(o, line, status)
		l.advance(line)
	}
	l.maybeShut(h)
}

// conclude moves an operation from the list it is in to those whose callback is due.
func (l *Loop) conclude(o *op.Op, from *op.List, status int32) {
	r := o.Req()
	r.Ret, r.Phase = status, op.Finished
	l.timers.disarm(o)
	from.Remove(o)
	if r.Code == op.RecvEach || r.Code == op.RecvMsgEach {
		l.buffers.forget(o)
	}
	if status != 0 && r.Moved > 0 && r.Code.Info().Line == op.OutLine && r.Code != op.SendMsgs {
		r.Handle.State().Torn = !r.Handle.State().Resumes // rule 5
	}
	if r.Buf != nil && r.Code == op.Send {
		r.Buf.Sent()
		r.Buf = nil
	}
	l.due.push(op.Completion{Op: o, Ret: status})
	l.ndue++
	if r.Code.Info().Second {
		l.letGo2(r) // after that: the close of the second handle can be due at once
	}
}

// end asks an operation to end before its time. What has not begun ends here;
// what has begun ends when the engine returns it.
func (l *Loop) end(o *op.Op, why op.Why) {
	r := o.Req()
	if r.Code == op.Close && r.Phase == op.Waiting {
		l.endAll(r.Handle) // out of patience: the close becomes an abort
		return
	}
	switch r.Phase {
	case op.Waiting, op.Resting:
		r.Why = why
		l.finish(o, statusOf(why))
	case op.Riding:
		if r.Why == op.NotAsked {
			r.Why = why
			l.engine.Cancel(r.Handle.State().Out.Head())
		}
	case op.Notifying:
		if why == op.ByClose {
			op.Disconnect(int(r.Handle.State().FD))
		}
	case op.Started:
		if r.Code == op.SendZC && why == op.ByClose {
			abortZeroCopy(r)
		}
		if r.Why == op.NotAsked && r.Code != op.Close {
			r.Why = why
			l.engine.Cancel(o)
		}
	}
}

// expire ends what is past its deadline; for a timeout that is its success.
func (l *Loop) expire() {
	for {
		o := l.timers.due(l.now)
		switch {
		case o == nil:
			return
		case o.Req().Code == op.Timeout:
			l.finish(o, 0)
		default:
			l.stats.Expired++
			l.end(o, op.ByDeadline)
		}
	}
}

// callbacks runs at most as many callbacks as a turn may (rule 11), then the
// posted functions.
func (l *Loop) callbacks() (n int) {
	for ; n < l.opts.batch; n++ {
		c := l.due.pop()
		if c.Op == nil {
			break
		}
		if c.More {
			l.deliver(c)
			continue
		}
		l.ndue--
		l.live--
		r := c.Op.Req()
		r.Phase, r.Ret = op.Idle, c.Ret
		if r.Flags&op.More != 0 { // the callback before panicked
			l.delivered(r)
		}
		c.Op.Yield()
		if l.opts.slow == 0 {
			c.Op.Done(c.Op)
		} else {
			l.timedCallback(c.Op)
		}
	}
	n += l.runPosts()
	l.stats.Callbacks += uint64(n)
	return n
}

func (l *Loop) runPosts() (n int) {
	for ; l.nextPost < len(l.posts) && n < l.opts.batch; n++ {
		f := l.posts[l.nextPost]
		l.posts[l.nextPost] = nil
		l.nextPost++
		l.mail.began()
		l.runPost(f)
	}
	if l.nextPost == len(l.posts) {
		l.posts, l.nextPost = l.posts[:0], 0
	}
	return n
}
