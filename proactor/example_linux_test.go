package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// The orderly end of a program, as a callback: no goroutine waits for the signal.
func ExampleLoop_Signals() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	var watch *proactor.SignalWatch
	watch, err = loop.Signals(func(s os.Signal, err error) {
		if err != nil { // the last call, after Stop
			fmt.Println(errors.Is(err, proactor.ErrCanceled))
			_ = loop.Close()
			return
		}
		fmt.Println(s)
		watch.Stop()
	}, syscall.SIGUSR1)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	_ = loop.Run(context.Background())
	// Output:
	// user defined signal 1
	// true
}

func ExampleLoop_WaitProcess() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := os.StartProcess(self, []string{self, "-wrong-flag"}, &os.ProcAttr{}) // exits with status 2
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = loop.WaitProcess(p.Pid, func(s syscall.WaitStatus, err error) {
		fmt.Println(s.Exited(), s.ExitStatus(), err)
		_ = loop.Close()
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = p.Release() // it is the loop's to wait for
	_ = loop.Run(context.Background())
	// Output: true 2 <nil>
}

// A descriptor from elsewhere, a timer of the kernel's for example, as a handle for
// operations of one's own.
func ExampleLoop_Register() {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(1e6)}, nil); err != nil {
		fmt.Println(err)
		return
	}
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := loop.Register(fd) // the loop's from here on
	if err != nil {
		fmt.Println(err)
		return
	}
	var expired [8]byte
	recv := proactor.Op{Done: func(o *proactor.Op) {
		n, err := o.Result()
		fmt.Println(n, err)
		_ = loop.Close() // closes the descriptor, too
	}}
	if _, err := loop.Submit(recv.Recv(h, expired[:])); err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: 8 <nil>
}
