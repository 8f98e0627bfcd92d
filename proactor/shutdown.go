package proactor

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Report is what a Shutdown did.
type Report struct {
	Closed int        // connections that were closed in order, idle or finished
	Cut    int        // connections that were cut off when time was over
	Peers  []net.Addr // of those that were cut off, where known
}

// shutdownEvery is how often a shutdown looks whether a connection has become
// idle: from outside no event tells that its user has nothing more to say.
const shutdownEvery = 5 * time.Millisecond

// cutTime is how long the loops have to cut off what is left when the context of
// a Shutdown has ended. A variable for its test.
var cutTime = time.Second

// Shutdown ends the Group's service: it stops accepting, closes the connections
// that are idle, and the others when they become it (see Conn.Busy for what
// counts), until none is left or the context ends; what is busy then is cut
// off. Then it closes the loops, so that Run returns, and reports. The loops must
// be running, and not in a callback that blocks: one that is still in it a second
// after the context has ended is left behind, with the error that says so. Handles
// that are no stream sockets are closed with the loops. Run may return before Shutdown
// has reported: a main waits for both.
func (g *Group) Shutdown(ctx context.Context) (Report, error) {
	stopped, err := g.stopListening()
	select {
	case <-stopped:
	case <-ctx.Done():
	}
	grace, cancel := withGrace(ctx)
	defer cancel()
	reports := make([]Report, len(g.loops))
	var wg sync.WaitGroup
	for i, l := range g.loops {
		wg.Go(func() { reports[i] = l.endConnections(ctx, grace) })
	}
	wg.Wait()
	var all Report
	for _, r := range reports {
		all.add(r)
	}
	for _, l := range g.loops {
		l.seal()
	}
	for _, l := range g.loops {
		err = errors.Join(err, l.CloseContext(grace))
	}
	return all, err
}

// withGrace returns a context that ends cutTime after ctx does.
func withGrace(ctx context.Context) (context.Context, func()) {
	grace, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(cutTime, func() { end(context.DeadlineExceeded) })
	})
	return grace, func() { stop(); end(nil) }
}

func (r *Report) add(x Report) {
	r.Closed += x.Closed
	r.Cut += x.Cut
	r.Peers = append(r.Peers, x.Peers...)
}

// ending is the end of one loop's connections.
type ending struct {
	loop   *Loop
	mu     sync.Mutex
	r      Report              // what was done, also by a step that was not waited for to its end
	closed map[*op.Handle]bool // what is counted as closed, and may still be flushing
}

// endConnections closes a loop's connections as they become idle, and cuts off the
// others when ctx ends, until grace does.
func (l *Loop) endConnections(ctx, grace context.Context) Report {
	e := &ending{loop: l, closed: map[*op.Handle]bool{}}
	tick := time.NewTicker(shutdownEvery)
	defer tick.Stop()
	for e.step(ctx, e.closeIdle) > 0 {
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		e.step(grace, e.cutOff)
		break
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.r
}

// step runs f on the loop and returns how many connections are left: 0 if the
// loop is closed, more than that if it could not be asked.
func (e *ending) step(ctx context.Context, f func() int) int {
	left := make(chan int, 1)
	err := e.loop.Post(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		left <- f()
	})
	if errors.Is(err, op.ErrFull) {
		return 1
	}
	if err != nil {
		return 0
	}
	select {
	case n := <-left:
		return n
	case <-e.loop.done:
		return 0
	case <-ctx.Done():
		return 1
	}
}

// closeIdle closes the connections that are idle and returns how many are left.
func (e *ending) closeIdle() (left int) {
	for _, h := range e.loop.connections() {
		left++
		// What was submitted a moment ago, and the loop hasn't seen, may be a send.
		if s := h.State(); !s.Busy() && s.AllAdmitted() && !s.Closing() {
			if e.loop.closeHandle(h, nil, e.loop.opts.linger) == nil {
				e.r.Closed++
				e.closed[h] = true
			}
		}
	}
	return left
}

// cutOff aborts the connections that are left.
func (e *ending) cutOff() int {
	for _, h := range e.loop.connections() {
		if h.State().Shut {
			continue // all is sent, its descriptor is being closed at this moment
		}
		if e.closed[h] {
			e.r.Closed--
		}
		if sa, err := socketName(h.FD(), true); err == nil {
			e.r.Peers = append(e.r.Peers, netAddr(sa, h.State().Kind))
		}
		e.r.Cut++
		_ = e.loop.abortHandle(h, nil)
	}
	return 0
}

// connections returns the open sockets that have a peer.
func (l *Loop) connections() (all []*op.Handle) {
	l.hmu.Lock()
	defer l.hmu.Unlock()
	for _, h := range l.allHandles() {
		if (h.State().Kind == op.Socket || h.State().Kind == op.Seqpacket) && h.FD() >= 0 {
			all = append(all, h)
		}
	}
	return all
}
