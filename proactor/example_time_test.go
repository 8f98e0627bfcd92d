package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// A timer that fires, and one that is stopped: both have their callback.
func ExampleLoop_After() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	late, err := loop.After(time.Hour, func(err error) {
		fmt.Println("stopped:", errors.Is(err, proactor.ErrCanceled))
		_ = loop.Close()
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.After(time.Millisecond, func(err error) {
		fmt.Println("fired:", err)
		late.Stop()
	})
	_ = loop.Run(context.Background())
	// Output:
	// fired: <nil>
	// stopped: true
}

func ExampleLoop_Every() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ticks := 0
	var ticker *proactor.Ticker
	ticker, err = loop.Every(time.Millisecond, func(err error) {
		if err != nil { // the last call: Stop, or the end of the loop
			fmt.Println("the end:", errors.Is(err, proactor.ErrCanceled))
			_ = loop.Close()
			return
		}
		if ticks++; ticks == 3 {
			fmt.Println("three ticks")
			ticker.Stop()
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output:
	// three ticks
	// the end: true
}

// A time of the wall clock: if somebody sets the clock, it fires when it shows it.
func ExampleLoop_At() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	when := time.Now().Add(10 * time.Millisecond)
	_, err = loop.At(when, func(err error) {
		fmt.Println(!time.Now().Round(0).Before(when.Round(0)), err)
		_ = loop.Close()
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: true <nil>
}

// A deadline of one operation. What had moved by then is counted.
func ExampleOp_deadline() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer silent.Close()
	var recv proactor.Op
	recv.Done = func(o *proactor.Op) {
		n, err := o.Result()
		fmt.Println(n, errors.Is(err, os.ErrDeadlineExceeded))
		_ = loop.Close()
	}
	_, _ = loop.Dial("tcp", silent.Addr().String(), func(c *proactor.Conn, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = loop.Submit(recv.Recv(c, make([]byte, 100)).SetTimeout(5 * time.Millisecond))
	})
	_ = loop.Run(context.Background())
	// Output: 0 true
}
