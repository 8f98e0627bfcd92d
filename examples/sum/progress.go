package main

import (
	"fmt"
	"time"
)

const progressEvery = 200 * time.Millisecond

// progress shows how far a run has come, on a terminal, until stop is called.
func (c *console) progress(st *status, files int) (stop func()) {
	if !c.terminal {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.refresh(st, files, quit)
	}()
	return func() {
		close(quit)
		<-ended
		c.aside(func() {})
	}
}

func (c *console) refresh(st *status, files int, quit <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for start := time.Now(); ; {
		select {
		case <-tick.C:
			c.show(st.line(files, time.Since(start)))
		case <-quit:
			return
		}
	}
}

func (st *status) line(files int, took time.Duration) string {
	mib := float64(st.bytes.Load()) / (1 << 20)
	return fmt.Sprintf("%d of %d files, %.0f MiB, %.0f MiB/s", st.files.Load(), files, mib, mib/took.Seconds())
}
