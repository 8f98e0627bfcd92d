package proactor

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Listener is a listening socket of a loop. Any goroutine may call its methods.
type Listener struct {
	handle
	loop *Loop
	addr net.Addr
	each atomic.Pointer[acceptor]
}

// Addr returns the address it listens on.
func (ln *Listener) Addr() net.Addr { return ln.addr }

// Accept takes one connection (accept4(2)), which is the callback's; its descriptor is
// close-on-exec and non-blocking. An error is that of accept4, EMFILE for example, after
// which the connection still waits in the backlog, or ErrClosed.
func (ln *Listener) Accept(done func(*Conn, error)) (op.Ticket, error) {
	if done == nil {
		panic("proactor: Accept without a callback")
	}
	k, err := ln.loop.calls.get(ln.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = func(fd int, err error) { done(ln.conn(fd, err)) }
	k.op.Accept(ln)
	return k.send(0)
}

// conn makes the accepted descriptor a Conn.
func (ln *Listener) conn(fd int, err error) (*Conn, error) {
	if err != nil {
		return nil, err
	}
	return ln.loop.newConnOf(fd, ln.State().Kind, ln.State().Unix)
}

// NewConn makes what an Accept of the caller's own Op came to a Conn of the loop,
// without asking the kernel what it is. On an error the descriptor is closed. Any
// goroutine may call it.
func (ln *Listener) NewConn(fd int) (*Conn, error) { return ln.conn(fd, nil) }

// AcceptEach takes every connection until the listener is closed; the last
// callback has net.ErrClosed. Other errors are reported and accepting goes on:
// at once if a connection died in the backlog, and after a lack of descriptors
// or memory when a handle of the loop has closed or a pause of 5 ms to 1 s is
// over. No connection is lost by that: it stays in the backlog. AcceptEach can
// be called once.
func (ln *Listener) AcceptEach(each func(*Conn, error)) error {
	if each == nil {
		panic("proactor: AcceptEach without a callback")
	}
	a := &acceptor{ln: ln, each: each}
	a.accept.Done = a.accepted
	a.timer.Done = a.retry
	if !ln.each.CompareAndSwap(nil, a) {
		return errors.New("proactor: AcceptEach called twice")
	}
	return a.submit()
}

// PauseAccept stops the AcceptEach under way until ResumeAccept: for a limit on
// connections. What has already been accepted still comes, a few dozen connections at
// most; the others wait in the backlog. Any goroutine may call it.
func (ln *Listener) PauseAccept() { ln.pause(true) }

// ResumeAccept ends PauseAccept.
func (ln *Listener) ResumeAccept() { ln.pause(false) }

func (ln *Listener) pause(on bool) {
	a := ln.each.Load()
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused = on
	if on {
		ln.loop.Pause(a.current)
	} else {
		ln.loop.Resume(a.current)
	}
}

// Close stops listening; connections in the backlog are reset by the kernel. A
// unix socket's file is removed. Its callback is the listener's last. It returns
// ErrClosed if the listener is already closed or closing.
func (ln *Listener) Close(done func(error)) error {
	ln.unlink()
	return ln.loop.closeHandle(ln, done, 0)
}

// unlink removes the file of a unix socket, as package net does.
func (ln *Listener) unlink() {
	if a, ok := ln.addr.(*net.UnixAddr); ok && a.Name != "" && a.Name[0] != '@' {
		_ = os.Remove(a.Name)
	}
}

// acceptor is a running AcceptEach: a multishot accept, or a timer that waits
// until there may be descriptors again.
type acceptor struct {
	ln     *Listener
	each   func(*Conn, error)
	accept op.Op
	timer  op.Op
	ticket op.Ticket // of the timer
	pause  time.Duration

	mu      sync.Mutex
	current op.Ticket // of accept
	paused  bool      // by the user
}

const (
	pauseMin = 5 * time.Millisecond
	pauseMax = time.Second
)

func (a *acceptor) submit() (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, err = a.ln.loop.Submit(a.accept.AcceptEach(a.ln))
	if err == nil && a.paused {
		a.ln.loop.Pause(a.current)
	}
	return err
}

func (a *acceptor) accepted(o *op.Op) {
	c, err := a.ln.conn(o.Result())
	a.ln.loop.names(a.each)
	if o.More() {
		if a.pause = 0; !errors.Is(err, ErrClosed) { // else the loop is closing: the last callback says so
			a.each(c, err)
		}
		return
	}
	switch {
	case lackOfResources(err):
		a.pause = min(max(2*a.pause, pauseMin), pauseMax)
		a.each(nil, err)
		err = a.wait()
	case errors.Is(err, ErrClosed):
	default:
		a.each(nil, err)
		err = a.resume(err)
	}
	if errors.Is(err, ErrClosed) {
		a.each(nil, ErrClosed)
	}
}

// resume goes on after an error that concerned one connection only (man 2
// accept lists them); any other would come again at once, so there it pauses.
func (a *acceptor) resume(err error) error {
	for _, e := range []syscall.Errno{syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, e) {
			return a.submit()
		}
	}
	a.pause = min(max(2*a.pause, pauseMin), pauseMax)
	return a.wait()
}

func (a *acceptor) wait() (err error) {
	if a.ln.State().Closing() {
		return ErrClosed
	}
	if a.ticket, err = a.ln.loop.Submit(a.timer.Timeout(a.pause)); err == nil {
		a.ln.loop.paused = append(a.ln.loop.paused, a)
	}
	return err
}

// retry is the timer's callback: time is over, or a descriptor was freed.
func (a *acceptor) retry(o *op.Op) {
	paused := a.ln.loop.paused[:0]
	for _, p := range a.ln.loop.paused {
		if p != a {
			paused = append(paused, p)
		}
	}
	a.ln.loop.paused = paused
	if err := a.submit(); err != nil {
		a.each(nil, ErrClosed)
		a.ln.loop.maybeShut(&a.ln.handle)
	}
}

// endPause ends the pause of an acceptor on a handle that is closing. It reports
// whether there was one: the close waits for its callback.
func (l *Loop) endPause(h *op.Handle) (found bool) {
	for _, a := range l.paused {
		if &a.ln.handle == h {
			l.Cancel(a.ticket)
			found = true
		}
	}
	return found
}

// descriptorFreed lets the paused acceptors try again at once.
func (l *Loop) descriptorFreed() {
	for _, a := range l.paused {
		l.Cancel(a.ticket)
	}
}

func lackOfResources(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
