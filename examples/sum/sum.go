package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// grace is how long an interrupted run waits for reads that the kernel has.
const grace = 500 * time.Millisecond

// status is how far a run has come; any goroutine may look.
type status struct {
	files, bytes atomic.Int64
}

// sum reads and hashes the files and gives what they come to to done. When ctx
// ends before that it gives up, with the cause.
func sum(ctx context.Context, c *config, files []string, done chan<- digest, st *status) error {
	if len(files) == 0 {
		return nil
	}
	loop, err := proactor.New(c.options()...)
	if err != nil {
		return err
	}
	memory, err := allocate(c.depth * int(c.block))
	if err != nil {
		_ = loop.Close()
		return fmt.Errorf("memory for %d blocks of %v: %w", c.depth, &c.block, err)
	}
	r := newReader(loop, c, files, memory)
	r.done, r.status = done, st
	hashers := startHashers(ctx, r.jobs)
	r.advance() // the loop takes submissions before it runs
	drained, err := turn(ctx, loop)
	if !drained {
		return err // the memory may still be in use
	}
	close(r.jobs)
	hashers.Wait()
	release(memory)
	return err
}

func (c *config) options() []proactor.Option {
	if c.engine == "" {
		return nil
	}
	return []proactor.Option{proactor.WithEngineName(c.engine)}
}

// turn runs the loop until it is closed or ctx ends. In that case it waits for
// what the kernel has, but not for long. It reports whether all has come back.
func turn(ctx context.Context, loop *proactor.Loop) (drained bool, err error) {
	ran := make(chan error, 1)
	go func() { ran <- loop.Run(context.Background()) }()
	select {
	case err = <-ran:
		return err == nil, err
	case <-ctx.Done():
	}
	limited, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	return loop.CloseContext(limited) == nil, context.Cause(ctx)
}

// startHashers starts the goroutines that hash, so that the loop needn't.
func startHashers(ctx context.Context, jobs <-chan *file) *sync.WaitGroup {
	group := new(sync.WaitGroup)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for f := range jobs {
				f.hashJob(ctx)
			}
		})
	}
	return group
}
