package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// Stats are a loop's statistics: counts since it was made, and the lengths of
// its queues.
type Stats struct {
	Submitted uint64 // operations taken in
	Callbacks uint64 // callbacks and posted functions that ran
	Continued uint64 // further attempts after partial transfers
	Expired   uint64 // deadlines that ended an operation
	Turns     uint64 // rounds of the loop
	Yields    uint64 // times the Go scheduler had its turn

	InFlight  int // operations taken in, their callback has not run
	Due       int // of them, those that are finished
	Started   int // of them, those that are with the engine
	Deadlines int // deadlines armed
	Handles   int // open handles
	Starved   int // receives that wait for a Buffer
	Throttled int // receives whose handle has as many Buffers as it may
	Posts     int // posted functions that wait
	Calls     int // operations behind closure verbs that are under way
	Work      int // functions of Loop.Go that wait or run

	Buffers     int    // in the pool, 0 before the first RecvEach
	BuffersOut  int    // of them, with the user or on their way
	Starvations uint64 // times that a receive had to wait for a Buffer

	Engine op.Counters
}

// Stats returns the statistics. Any goroutine may call it. In a callback they are
// of this moment; elsewhere, while the loop is busy, at most about a millisecond old.
func (l *Loop) Stats() Stats {
	if l.mine() {
		l.publish()
	}
	l.smu.Lock()
	s := l.published
	l.smu.Unlock()
	s.Handles = l.countHandles()
	s.Posts = l.mail.count()
	s.Calls = l.calls.count()
	s.Work = int(l.jobs.Load())
	return s
}

// publish makes the loop goroutine's statistics visible to others.
func (l *Loop) publish() {
	s := &l.stats
	s.InFlight, s.Due, s.Started = l.live, l.ndue, l.engine.InFlight()
	l.buffers.publish(s, l.engine)
	s.Deadlines = l.timers.armed()
	s.Engine = l.engine.Counters()
	l.smu.Lock()
	l.published = *s
	l.smu.Unlock()
}
