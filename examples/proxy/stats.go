package main

import (
	"fmt"
	"strings"
	"sync"
)

// counters are one worker's, or all workers'.
type counters struct {
	accepted, ended       int64 // sessions
	refused, retries      int64
	idle, broken          int64
	bytesUp, bytesDown    int64 // to the backends, and to the clients
	streams, trickles     int64 // directions that changed over to splicing, and back
	copies                int64 // Buffers copied because slow receivers had too many
	backends              []string
	waiting, placed, most int64
}

func (c *counters) add(o *counters) {
	c.accepted += o.accepted
	c.ended += o.ended
	c.refused += o.refused
	c.retries += o.retries
	c.idle += o.idle
	c.broken += o.broken
	c.bytesUp += o.bytesUp
	c.bytesDown += o.bytesDown
	c.streams += o.streams
	c.trickles += o.trickles
	c.copies += o.copies
}

func (c *counters) String() string {
	return fmt.Sprintf("sessions %d, open %d of %d, waiting %d, refused %d, retries %d, idle %d, broken %d, bytes up %d, down %d, to streams %d, back %d, copies %d; %s",
		c.accepted, c.accepted-c.ended, c.most, c.waiting, c.refused, c.retries, c.idle, c.broken,
		c.bytesUp, c.bytesDown, c.streams, c.trickles, c.copies, strings.Join(c.backends, "; "))
}

// counters adds up what there is. The loops don't run, or this is called by gather.
func (p *proxy) counters() *counters {
	all := p.shared()
	for _, w := range p.workers {
		all.add(&w.stats)
	}
	return all
}

func (p *proxy) shared() *counters {
	all := &counters{waiting: p.waiting.Load(), placed: p.placed.Load(), most: p.most}
	for _, b := range p.balancer.backends() {
		all.backends = append(all.backends, fmt.Sprintf("%v %s open %d served %d failures %d",
			b, b.state(), b.open.Load(), b.served.Load(), b.failures.Load()))
	}
	return all
}

// gather asks the loops, and waits for them: not to be called on one.
func (p *proxy) gather() *counters {
	all := p.shared()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, w := range p.workers {
		wg.Add(1)
		err := w.loop.Post(func() {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			all.add(&w.stats)
		})
		if err != nil {
			wg.Done()
		}
	}
	wg.Wait()
	return all
}

// report prints the statistics while the loops run.
func (p *proxy) report() { p.say("%v", p.gather()) }
