package proactor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Loop executes operations on one engine and runs their callbacks, one at a
// time, on the goroutine that is in Run. Package documentation has the contract.
type Loop struct {
	engine op.Engine
	peers  op.PeerWaker // the engine, if it can
	why    string       // why this engine
	opts   options
	id     uint32

	inbox    inbox
	mail     mailbox
	sleeping atomic.Bool // the loop may be in engine.Wait: wake it
	sealing  atomic.Bool // the loop is asked to close
	giveUp   atomic.Bool // the close has no patience left
	state    atomic.Uint32
	owner    atomic.Int64  // the thread of the loop's goroutine, 0 if none
	shifts   atomic.Uint64 // times that the goroutine has let go of a thread
	done     chan struct{} // closed when the engine has been released
	left     sync.Mutex    // held by who runs the callbacks that a panic left

	hmu     sync.Mutex
	handles op.Table[*op.Handle]
	hsealed bool

	smu       sync.Mutex
	published Stats

	calls callPool
	jobs  atomic.Int64 // functions of Go that wait or run

	// The rest is the loop goroutine's alone.
	now        int64 // of this turn, on op.Now's clock
	yielded    int64 // when the scheduler last had its turn
	yieldEvery int64
	alone      bool         // nobody else wanted the P then
	woke       bool         // a callback has woken goroutines: YieldSoon
	crowded    bool         // others then had it for long
	delegator  op.Delegator // the engine, if workers have no other processor
	timers     deadlines
	loose      op.List // under way, without a handle
	due        dueQueue
	ndue       int // finished, the final callback has not run
	live       int // admitted, the final callback has not run
	batch      []op.Completion
	buffers    buffers
	pipes      op.Pipes
	posts      []func()
	nextPost   int
	asks       []request
	senders    []*op.Handle // with messages that came in this turn
	paused     []*acceptor  // wait for a free descriptor
	closing    bool
	parked     bool // the engine waits in Go's netpoller
	broken     bool // the engine never came up
	abandoned  bool // no callback runs any more, and nobody's use is waited for
	inTurn     bool
	inner      any // the function behind the callback that runs, for WithSlowCallback
	stats      Stats
}

// States of a loop.
const (
	fresh   uint32 = iota // no goroutine has it yet
	running               // a goroutine is its own: Run, RunOnce or Close
	ended                 // the engine is released
)

var loops atomic.Uint32

// New makes a loop. It needs no goroutine until Run, and takes submissions at
// once. Auto-selection of the engine never fails for lack of io_uring; a forced
// io_uring that the system refuses is an error that names the likely cause.
func New(opts ...Option) (*Loop, error) {
	o := defaults()
	for _, f := range opts {
		f(&o)
	}
	e, why, err := openEngine(&o)
	if err != nil {
		return nil, err
	}
	l := &Loop{engine: e, why: why, opts: o, id: loops.Add(1), done: make(chan struct{})}
	l.pipes.Size = relayPiece
	l.peers, _ = e.(op.PeerWaker)
	l.mail.limit = o.maxPosts
	l.calls.limit = o.maxCalls
	return l, nil
}

// Engine returns the name of the engine in use, "io_uring" or "epoll", and why
// it was chosen.
func (l *Loop) Engine() (name, why string) { return l.engine.Name(), l.why }

// Supports returns nil if the loop can execute operations of this code, else an
// error that says what is missing, and is errors.ErrUnsupported. Any goroutine may call
// it.
func (l *Loop) Supports(c op.Code) error { return l.engine.Supports(c) }

// Errors of Run and RunOnce.
var (
	// ErrRunning: another goroutine runs the loop, or has run it.
	ErrRunning = errors.New("proactor: the loop is run by another goroutine")
)

// Run executes the loop on the calling goroutine, which it locks to its thread (on
// epoll, and with WithNetpoller, not always to the same one), until the context ends or Close is called. Then it cancels what is under way,
// runs all callbacks, closes all handles, releases the engine and returns: the
// context's cause, or nil after Close. A loop runs once.
//
// A panic in a callback comes out of Run. Before it does, operations are ended
// and the engine is released; the callbacks that are due then run in Close.
func (l *Loop) Run(ctx context.Context) error {
	if err := l.take(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.seal)
	defer stop()
	if err := l.run(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}

// Close ends the loop (rule 8): it cancels what is under way, waits until all
// callbacks have run and all handles are closed, and releases the memory.
// Called from a callback it only asks for that and returns; Run then ends. If
// nobody runs the loop, the callbacks run on a goroutine of Close's own. Closing
// again waits for the same end. Any goroutine may call it.
func (l *Loop) Close() error { return l.CloseContext(context.Background()) }

// CloseContext is Close with limited patience: when ctx ends first it returns
// the context's error, and what the kernel still holds is never reused: it
// stays allocated until the program ends.
func (l *Loop) CloseContext(ctx context.Context) error {
	l.seal()
	if l.mine() {
		return l.closeHere(ctx)
	}
	if l.state.CompareAndSwap(fresh, running) {
		go func() {
			if err := l.enter(); err == nil {
				_ = l.run()
			}
		}()
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		l.giveUp.Store(true)
		l.engine.Wake()
		return context.Cause(ctx)
	}
	l.runLeft()
	return nil
}

// closeHere is Close on the loop's own goroutine: from a callback the turn that
// runs it will see to it; between turns of RunOnce the rest is turned here.
func (l *Loop) closeHere(ctx context.Context) error {
	if l.inTurn {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { l.giveUp.Store(true); l.engine.Wake() })
	defer stop()
	for l.state.Load() != ended {
		if l.giveUp.Load() {
			l.abandon()
			l.leave()
			return context.Cause(ctx)
		}
		if _, err := l.once(-1); err != nil {
			return err
		}
	}
	return nil
}

// seal asks the loop to close.
func (l *Loop) seal() {
	l.sealing.Store(true)
	l.mail.some.Store(true)
	l.wake()
}

// runLeft runs the callbacks that were due when another one panicked. The caller
// is the loop's goroutine meanwhile.
func (l *Loop) runLeft() {
	l.left.Lock()
	defer l.left.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.owner.Store(threadID())
	l.inTurn = true
	defer func() {
		l.disown()
		l.publish()
	}()
	for l.callbacks() > 0 {
	}
}

// Register makes fd a handle of the loop, which owns the descriptor from here
// on: only Close or Abort of the handle, or of the loop, closes it. Sockets and
// pipes become non-blocking. On an error fd stays the caller's. Any goroutine
// may call it.
func (l *Loop) Register(fd int) (*op.Handle, error) {
	h := new(op.Handle)
	if err := l.adopt(h, fd, unknownFlags); err != nil {
		return nil, err
	}
	return h, nil
}

// unknownFlags are those of a descriptor that the loop hasn't opened: it asks.
const unknownFlags = -1

func (l *Loop) adopt(h *op.Handle, fd, flags int) error {
	kind, seek, err := prepareDescriptor(fd, flags)
	if err != nil {
		return fmt.Errorf("register descriptor %d: %w", fd, err)
	}
	if kind.IsSocket() {
		h.State().Unix = isUnix(fd)
		_, err := socketName(fd, true)
		h.State().Connected = err == nil && kind == op.Packet
		h.State().UDP = isUDP(fd)
	}
	return l.addHandle(h, fd, kind, seek)
}

func (l *Loop) addHandle(h *op.Handle, fd int, kind op.Kind, seek bool) error {
	h.Init(fd, kind, seek, l.id)
	l.hmu.Lock()
	defer l.hmu.Unlock()
	if l.hsealed {
		return ErrClosed
	}
	i := l.handles.Add()
	*l.handles.At(i), h.State().Index = h, i
	return nil
}

func (l *Loop) dropHandle(h *op.Handle) {
	l.hmu.Lock()
	defer l.hmu.Unlock()
	last := *l.handles.At(l.handles.Len() - 1)
	i := h.State().Index
	*l.handles.At(i), last.State().Index = last, i
	l.handles.Drop()
}

// sealHandles refuses new handles and returns those there are.
func (l *Loop) sealHandles() []*op.Handle {
	l.hmu.Lock()
	defer l.hmu.Unlock()
	l.hsealed = true
	return l.allHandles()
}

// handlesNow returns the handles there are.
func (l *Loop) handlesNow() []*op.Handle {
	l.hmu.Lock()
	defer l.hmu.Unlock()
	return l.allHandles()
}

func (l *Loop) countHandles() int {
	l.hmu.Lock()
	defer l.hmu.Unlock()
	return int(l.handles.Len())
}

// allHandles returns them, under hmu.
func (l *Loop) allHandles() (all []*op.Handle) {
	for i := range l.handles.Len() {
		all = append(all, *l.handles.At(i))
	}
	return all
}
