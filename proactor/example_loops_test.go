package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

func ExampleNew() {
	loop, err := proactor.New(
		proactor.WithEngineName("epoll"), // or io_uring; the default is what works
		proactor.WithBuffers(64, 4096),
		proactor.WithLinger(time.Second),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	fmt.Println(loop.Engine())
	// Output: epoll chosen by option
}

// A loop ends with its context: what is under way is cancelled, and each callback runs.
func ExampleLoop_Run() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.After(time.Hour, func(err error) { fmt.Println("timer:", err) })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	fmt.Println("run:", loop.Run(ctx))
	// Output:
	// timer: use of closed network connection
	// run: context deadline exceeded
}

// What blocks, on a worker; what it came to, on the loop.
func ExampleLoop_Go() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	sum := 0
	_, _ = loop.Go(func() {
		for i := range 1000 {
			sum += i
		}
	}, func(err error) {
		fmt.Println(sum, err)
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output: 499500 <nil>
}

// From one loop to another.
func ExampleLoop_PostTo() {
	one, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	two, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	go run(two)
	answer := make(chan string, 1)
	_ = one.Post(func() { // a callback of one
		_ = one.PostTo(two, func() { answer <- "on loop two" })
	})
	go run(one)
	fmt.Println(<-answer)
	_, _ = one.Close(), two.Close()
	// Output: on loop two
}

// An Event wakes a loop from elsewhere: from another process, if that has its FD.
func ExampleLoop_NewEvent() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := loop.NewEvent(0, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = e.Add(2, nil)
	_, _ = e.Add(3, func(error) {
		_, _ = e.Wait(func(n uint64, err error) {
			fmt.Println(n, err)
			_ = e.Close(func(error) { _ = loop.Close() })
		})
	})
	_ = loop.Run(context.Background())
	// Output: 5 <nil>
}

func ExampleLoop_Stats() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.After(time.Hour, func(error) {})
	_ = loop.Post(func() {
		s := loop.Stats() // in a callback it is of this moment
		fmt.Println("deadlines", s.Deadlines, "calls", s.Calls, "handles", s.Handles)
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output: deadlines 1 calls 1 handles 0
}

// Callbacks that hold the loop are named.
func ExampleWithSlowCallback() {
	slow := func(s proactor.SlowCallback) { fmt.Println(s.Took >= 5*time.Millisecond, s.FD) }
	loop, err := proactor.New(proactor.WithSlowCallback(5*time.Millisecond, slow))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Post(func() {
		time.Sleep(10 * time.Millisecond) // it should be on a worker: Loop.Go
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output: true -1
}

// Close waits for what can't be interrupted, a disk for example; CloseContext only as
// long as the caller likes.
func ExampleLoop_CloseContext() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.After(time.Hour, func(err error) { fmt.Println(errors.Is(err, proactor.ErrClosed)) })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(loop.CloseContext(ctx))
	// Output:
	// true
	// <nil>
}
