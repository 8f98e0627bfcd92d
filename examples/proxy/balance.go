package main

import (
	"errors"
	"slices"
	"sync/atomic"
)

// balancer chooses the backend of a connection. All loops share it.
type balancer struct {
	least bool // the one with the fewest connections; else they take turns
	turn  atomic.Uint32
	list  atomic.Pointer[[]*backend] // never changed, only replaced
}

// What choose answers if there is no backend.
var (
	errDown = errors.New("no backend is up, or all were tried")
	errFull = errors.New("all backends are full")
)

func (l *balancer) backends() []*backend { return *l.list.Load() }

// choose returns a backend that is up and has room, and counts the connection there.
// Those that have been tried in vain aren't chosen again.
func (l *balancer) choose(tried []*backend) (*backend, error) {
	all := l.backends()
	first := int((l.turn.Add(1) - 1) % uint32(len(all)))
	full := false
	for {
		best, wasFull := l.best(all, first, tried)
		full = full || wasFull
		switch {
		case best == nil && full:
			return nil, errFull
		case best == nil:
			return nil, errDown
		case best.take():
			return best, nil
		}
		full = true // another loop was quicker
		tried = append(slices.Clip(tried), best)
	}
}

// best returns the next backend in turn, or the one with the fewest connections.
func (l *balancer) best(all []*backend, first int, tried []*backend) (best *backend, full bool) {
	for i := range all {
		b := all[(first+i)%len(all)]
		if b.down.Load() || slices.Contains(tried, b) {
			continue
		}
		n := b.open.Load()
		switch {
		case b.max > 0 && n >= b.max:
			full = true
		case !l.least:
			return b, full
		case best == nil || n < best.open.Load():
			best = b
		}
	}
	return best, full
}

// replace makes fresh the list. What was in the list before stays what it is, with its
// connections and its health. It returns what is new and what is gone.
func (l *balancer) replace(fresh []*backend) (added, removed []*backend) {
	old := l.backends()
	merged := make([]*backend, len(fresh))
	for i, b := range fresh {
		same := slices.IndexFunc(old, func(o *backend) bool { return o.line == b.line })
		if same < 0 {
			merged[i] = b
			added = append(added, b)
		} else {
			merged[i] = old[same]
		}
	}
	for _, b := range old {
		if !slices.Contains(merged, b) {
			b.removed.Store(true)
			removed = append(removed, b)
		}
	}
	l.list.Store(&merged)
	return added, removed
}
