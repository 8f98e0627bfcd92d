package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Small sends that queue on a connection leave in one system call: the head of
// the line takes those behind it along, as the vector of one message; on a socket
// that keeps the bounds of messages, as messages of their own (sendmmsg(2)). They
// ride in the phase Riding, and Req.Off of the head says how many they are, itself
// included.

// gatherMax is how many sends leave together at most.
const gatherMax = 64

// gather lets the sends behind o, the head of its line, ride with it.
func gather(o *op.Op) {
	r := o.Req()
	r.Off = 1
	kind := r.Handle.State().Kind
	messages := kind.HasBounds()
	if !messages && (kind != op.Socket || r.Code != op.Send) { // descriptors keep their place in a stream
		return
	}
	for x := r.Next; x != nil && r.Off < gatherMax; x = x.Req().Next {
		q := x.Req()
		if q.Code != op.Send && !(messages && q.Code == op.SendMsg) || q.Phase != op.Waiting || q.Why != op.NotAsked {
			return
		}
		q.Phase = op.Riding
		r.Off++
	}
}

// settleGathered shares out what an attempt at several sends has moved. Those
// that are sent are done, those that were asked to end do, and the line goes on
// with the rest.
func (l *Loop) settleGathered(o *op.Op, ret int32) {
	r := o.Req()
	n := r.Off
	r.Off = 0
	messages := r.Handle.State().Kind.HasBounds()
	interrupted := ret == -int32(syscall.ECANCELED) || ret == -int32(syscall.EINTR)
	moved := max(int(ret), 0)
	line := &r.Handle.State().Out
	for x := o; n > 0; n-- {
		q := x.Req()
		next := q.Next
		sent := false
		if messages {
			if sent = moved > 0; sent {
				q.Moved, moved = q.N, moved-1
			}
		} else {
			k := min(moved, q.N-q.Moved)
			q.Moved, moved = q.Moved+k, moved-k
			sent = q.Moved == q.N && line.Head() == x // an empty one waits for those before it
		}
		switch {
		case sent:
			l.conclude(x, line, 0)
		case q.Why != op.NotAsked:
			l.conclude(x, line, statusOf(q.Why))
		case x == o && ret < 0 && !interrupted:
			l.conclude(x, line, ret)
		default:
			q.Phase = op.Waiting
		}
		x = next
	}
	h := r.Handle
	l.advance(line)
	l.maybeShut(h)
}
