package ring

import (
	"slices"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// Engine is the io_uring engine of one loop: an op.Engine.
type Engine struct {
	r            rings
	slots        slots
	native       [op.NumCodes]bool // executed by the ring itself
	canPollFirst bool
	zeroCopy     bool   // sends can be without a copy
	zcFlags      uint16 // what such a send is asked to report
	sendWhole    uint32 // MSG_WAITALL, where a send that is cancelled half-way says how far it got
	flags        uint32
	selfKnown    bool // the ring's descriptor is registered with the thread
	waker        op.Waker
	parker       op.Parker // if waits take place in Go's netpoller
	workers      *op.Workers
	scratch      op.Scratch // of emulated attempts
	pool         *op.Pool
	bufs         bufRing // the pool's buffers, if the kernel takes them
	memory       memory
	door         door
	messages     messages

	retries  op.Retries
	quiet    quiet
	line     []uint32 // slots that wait for a submission entry, from lineHead on
	lineHead int
	cancels  []uint64 // user_data of what is to be cancelled, in line likewise
	again    []uint64 // cancels that missed a target between two states

	unwatched bool // the waker is not watched for lack of an entry

	done     []op.Completion
	inFlight int
	files    int // entries under way that a disk answers
	lone     loneWrite
	counters op.Counters
	heard    func(*cqe) // complete, bound once
}

var (
	_ op.Engine    = (*Engine)(nil)
	_ op.PeerWaker = (*Engine)(nil)
	_ op.Delegator = (*Engine)(nil)
)

// New sets a ring up, after a proof on another that rings work here. Any failure
// is an *Error that names the likely cause, and leaves nothing behind.
func New(o Options) (*Engine, error) {
	if o.Park { // such rings belong to a thread
		o.MaskFlags |= setupSingleIssuer | setupDeferTaskrun
	}
	native, err := prove(&o)
	if err != nil {
		return nil, err
	}
	e := &Engine{native: native, door: door{fd: -1}}
	e.slots.free = none
	e.heard = e.complete
	if e.flags, err = open(&e.r, &o, uint32(max(o.Entries, minEntries))); err != nil {
		return nil, err
	}
	e.messages.off = e.flags&setupSubmitAll == 0 || slices.Contains(o.MaskCodes, op.None) // 5.18
	e.canPollFirst = e.flags&(setupCoopTaskrun|setupDeferTaskrun) != 0
	if e.flags&setupSingleIssuer != 0 { // 6.0; 5.15 forgets it, and the stream would be torn unnoticed
		e.sendWhole = unix.MSG_WAITALL
	}
	// Whether a kernel has multishot shows in no probe: the set-up flags tell its age.
	e.native[op.AcceptEach] = e.native[op.AcceptEach] && e.canPollFirst // 5.19
	e.receiveNatively(e.flags&setupSingleIssuer != 0)                   // 6.0
	e.sendZeroCopy()
	if err := e.waker.Open(); err != nil {
		e.r.close()
		return nil, refuse("eventfd", err)
	}
	if o.Park {
		if err := e.park(); err != nil {
			e.waker.Close()
			e.r.close()
			return nil, refuse("netpoller", err)
		}
	}
	e.workers = op.NewWorkers(o.Workers, e.waker.Wake)
	return e, nil
}

func (e *Engine) park() error {
	e.waker.Use(&e.parker)
	return e.parker.Open(e.r.fd, e.r.ready)
}

// Parked reports whether waits take place in Go's netpoller.
func (e *Engine) Parked() bool { return e.parker.On() }

// Name returns "io_uring".
func (e *Engine) Name() string { return "io_uring" }

// Supports returns nil if the kernel has c, or it can be emulated.
func (e *Engine) Supports(c op.Code) error {
	if e.native[c] {
		return nil
	}
	return c.Unsupported()
}

// Native reports whether the ring executes c itself.
func (e *Engine) Native(c op.Code) bool { return e.native[c] }

// runs reports whether the ring itself executes r: several messages at once take
// the fallback's way, for want of an opcode, and lengths of more than 32 bits where
// that is what an entry has.
func (e *Engine) runs(r *op.Req) bool {
	switch r.Code {
	case op.Fadvise, op.SyncFileRange:
		return e.native[r.Code] && r.Args().Len < 1<<32
	case op.Madvise:
		return e.native[r.Code] && int64(r.N) < 1<<32
	case op.Preadv2, op.Pwritev2: // a ring that isn't polled as a whole polls for none
		return e.native[r.Code] && !r.Polled()
	}
	return e.native[r.Code] && !r.Batched()
}

// Enter enables the ring for the calling thread, to which it belongs from here.
func (e *Engine) Enter() error {
	if e.flags&setupDisabled != 0 {
		if err := e.r.enable(); err != nil {
			return refuse("enable", err)
		}
	}
	if !e.Parked() {
		e.selfKnown = e.r.registerSelf()
		e.watchWaker()
	}
	return nil
}

// Bound returns true unless waits take place in the netpoller: single issuer,
// deferred task work and the registered descriptor belong to a thread.
func (e *Engine) Bound() bool { return !e.Parked() }

// InFlight returns how many operations were started and not returned.
func (e *Engine) InFlight() int { return e.inFlight }

// Forget has nothing to let go of: the ring knows descriptors only while it
// works on them.
func (e *Engine) Forget(*op.Handle) {}

// Wake ends a wait.
func (e *Engine) Wake() { e.waker.Wake() }

// Counters returns the statistics.
func (e *Engine) Counters() op.Counters {
	c := e.counters
	c.JobsQueued, c.Workers = e.workers.Count()
	return c
}

// Close releases the ring, on the thread that it belongs to.
func (e *Engine) Close() error {
	e.FlushPeers(true)
	e.workers.Close()
	e.door.close()
	e.parker.Close()
	e.r.close()
	e.bufs.close()
	e.waker.Close()
	return nil
}

// Start begins one attempt at o.
func (e *Engine) Start(o *op.Op) {
	e.counters.Starts++
	e.inFlight++
	e.begin(o)
}

func (e *Engine) begin(o *op.Op) {
	e.lone.some = false
	if !e.runs(o.Req()) {
		e.emulate(o)
		return
	}
	e.submit(e.slots.take(o))
}

// submit writes the entry of a slot, or puts it in line if none is free.
func (e *Engine) submit(i uint32) {
	if e.lineHead == len(e.line) {
		if q := e.entry(); q != nil {
			e.write(q, i)
			return
		}
	}
	e.counters.QueueFull++
	e.slots.all.At(i).queued = true
	e.line = append(e.line, i)
}

// entry returns a free submission entry. A full queue is emptied into the
// kernel first; nil if that takes no more now.
func (e *Engine) entry() *sqe {
	q := e.r.next()
	if q == nil {
		if e.enterNow() == nil {
			q = e.r.next()
		}
	}
	return q
}

func (e *Engine) write(q *sqe, i uint32) {
	s := e.slots.all.At(i)
	if s.poll {
		r := s.o.Req()
		*q = sqe{opcode: opPollAdd, fd: r.Handle.State().FD, opFlags: pollMask(readiness(r)), userData: e.slots.userData(i)}
		return
	}
	if c := s.o.Req().Code; c.Info().Way == op.ByWorker {
		e.files++
		e.lone.some = e.files == 1 && (c.Info().Write || c == op.Fdatasync || c == op.Fsync)
	}
	e.encode(q, s, e.slots.userData(i))
}

// submitLine writes the entries of those that wait in line, cancels first: they
// are few, and end things.
func (e *Engine) submitLine() {
	if e.unwatched {
		e.unwatched = false
		e.watchWaker()
	}
	for len(e.cancels) > 0 {
		q := e.entry()
		if q == nil {
			return
		}
		last := len(e.cancels) - 1
		ud := e.cancels[last]
		e.cancels = e.cancels[:last]
		*q = sqe{opcode: opCancel, fd: -1, addr: ud, userData: ud | cancelTag}
	}
	for e.lineHead < len(e.line) {
		i := e.line[e.lineHead]
		if s := e.slots.all.At(i); s.gone {
			e.slots.release(i)
		} else {
			q := e.entry()
			if q == nil {
				return
			}
			s.queued = false
			e.write(q, i)
		}
		e.lineHead++
	}
	e.line, e.lineHead = e.line[:0], 0
}

// Cancel asks a started operation to come back early.
func (e *Engine) Cancel(o *op.Op) {
	r := o.Req()
	if r.Code.Info().Way != op.ByReadiness && !e.runs(r) || r.Away() || r.OnFile() {
		e.workers.Cancel(o)
		return
	}
	if r.Handle != nil && r.ByTime() && e.retries.Drop(o) {
		e.finish(o, -int32(unix.ECANCELED))
		return
	}
	i := r.Slot
	if i >= e.slots.all.Len() || e.slots.all.At(i).o != o {
		return // on its way back already
	}
	s := e.slots.all.At(i)
	s.cancel = true
	if s.sent {
		return // only the peer can end it
	}
	if s.queued { // the kernel hasn't heard of it
		s.gone, s.o = true, nil
		e.finish(o, -int32(unix.ECANCELED))
		return
	}
	e.cancels = append(e.cancels, e.slots.userData(i))
}

// complete takes one completion.
func (e *Engine) complete(c *cqe) {
	if c.userData&cancelTag != 0 {
		e.completeTagged(c)
		return
	}
	s, i := e.slots.find(c.userData)
	if s == nil {
		return
	}
	if !s.poll && s.o.Req().Code.Info().Way == op.ByWorker {
		e.files--
	}
	if c.res <= -512 && c.res >= -516 {
		c.res = -int32(unix.EINTR) // ERESTARTSYS and its like, which some kernels let out
	}
	if r := s.o.Req(); !s.poll && r.Code == op.WaitID && c.res == 0 && r.Exit().Empty() {
		c.res = op.EAGAIN // a pidfd with O_NONBLOCK
	}
	o := s.o
	switch r := o.Req(); {
	case r.Code == op.SendZC && e.completeZeroCopy(i, c):
		return
	case s.poll && c.res >= 0:
		e.try(i)
		return
	case c.res == op.EAGAIN && !s.poll && r.Handle != nil && r.ByTime():
		e.later(i)
		return
	case c.res == op.EAGAIN && r.Code.Info().Way == op.ByReadiness && !s.poll:
		e.await(i) // old kernels, where a non-blocking descriptor says so
		return
	case c.res == op.EAGAIN && r.Code.Info().Way == op.ByWorker && !r.NoWait():
		e.slots.release(i) // O_NONBLOCK where the file system can't tell
		e.counters.Jobs++
		e.workers.Start(o)
		return
	case r.Code == op.Recv, r.Code == op.RecvEach, r.Code == op.RecvMsg, r.Code == op.RecvMsgEach:
		h := r.Handle.State()
		h.Bits |= op.Dry
		if c.flags&cqeNonEmpty != 0 {
			h.Bits &^= op.Dry
		}
	}
	e.deliver(i, c)
}

func (e *Engine) finish(o *op.Op, res int32) {
	e.done = append(e.done, op.Completion{Op: o, Ret: res})
}

// completeTagged takes the completion of a cancel, of the waker's poll, or of a message. A
// cancel can find its target between two states (woken, not yet tried again):
// then it is asked once more.
func (e *Engine) completeTagged(c *cqe) {
	if c.userData == wakeTag {
		e.waker.Drain()
		e.watchWaker()
		return
	}
	switch uint32(c.userData) {
	case messageIndex:
		return
	case missedIndex:
		e.missed(c)
		return
	}
	if c.res != -int32(unix.ENOENT) && c.res != -int32(unix.EALREADY) {
		return
	}
	if s, _ := e.slots.find(c.userData &^ cancelTag); s != nil && !s.sent && waits(s.o.Req().Code) {
		e.again = append(e.again, c.userData&^cancelTag)
	}
}

// waits reports whether an operation may wait for ever if nobody ends it.
func waits(c op.Code) bool {
	way := c.Info().Way
	return way == op.ByReadiness || way == op.ByRing
}

// watchWaker waits for the next wake-up. A poll and not a read: reads of an
// eventfd were broken in 6.15.4.
func (e *Engine) watchWaker() {
	if q := e.entry(); q != nil {
		*q = sqe{opcode: opPollAdd, fd: int32(e.waker.FD()), opFlags: pollMask(unix.POLLIN), userData: wakeTag}
	} else {
		e.unwatched = true
	}
}
