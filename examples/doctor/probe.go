package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/ring"
)

// probeVar makes the program the one that tries io_uring and says on standard output
// what has come of it.
const probeVar = "PROACTOR_DOCTOR_PROBE"

// probeTime is how long it may take. A sandbox can kill the one thread that asks, and
// the rest waits for it.
const probeTime = 30 * time.Second

// entries is what a Loop asks for unless it is told otherwise.
const entries = 1024

// finding is what has come of trying io_uring.
type finding struct {
	Info  ring.Info
	Errno syscall.Errno // of the kernel, if it was that
	Err   string        // the whole of the error, "" if io_uring works
	Tried bool
	Died  bool // nobody should try again
}

func try() finding {
	f := finding{Tried: true}
	var err error
	if f.Info, err = ring.Probe(ring.Options{Entries: entries, Workers: 1}); err == nil {
		return f
	}
	f.Err = err.Error()
	errors.As(err, &f.Errno)
	return f
}

// answer is the child's whole work.
func answer(out io.Writer) {
	if err := json.NewEncoder(out).Encode(try()); err != nil {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(nothing)
	}
}

// probe tries io_uring in a child, or here if there can be none.
func probe() finding {
	self, err := os.Executable()
	if err != nil {
		return try()
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), probeVar+"=1")
	var out, errs bytes.Buffer
	child.Stdout, child.Stderr = &out, &errs
	if err := child.Start(); err != nil {
		return try()
	}
	err = child.Wait()
	var f finding
	if e := json.Unmarshal(out.Bytes(), &f); e == nil && err == nil {
		return f
	}
	f = finding{Tried: true, Died: true, Err: died(child.ProcessState, errs.Bytes())}
	if ctx.Err() != nil {
		f.Err = fmt.Sprintf("the process that tried it gave no answer for %v", probeTime)
	}
	return f
}

// died says how the child ended that gave no answer.
func died(p *os.ProcessState, stderr []byte) string {
	if s, ok := p.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return fmt.Sprintf("the process that tried it was killed by signal %d (%v): a sandbox forbids it so", int(s.Signal()), s.Signal())
	}
	if i := bytes.Index(stderr, []byte("SIGSYS")); i >= 0 {
		return "the process that tried it got SIGSYS: a sandbox forbids it so"
	}
	return fmt.Sprintf("the process that tried it ended with %v: %s", p, firstLine(stderr))
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// tryLoop runs a loop until a timer has fired, and returns what Engine says of it.
func tryLoop(opts ...proactor.Option) (name, why string, err error) {
	l, err := proactor.New(opts...)
	if err != nil {
		return "", "", err
	}
	fired := errors.New("no timer fired")
	_, err = l.After(time.Millisecond, func(err error) {
		fired = err
		_ = l.Close()
	})
	if err == nil {
		err = l.Run(context.Background())
	}
	name, why = l.Engine()
	return name, why, errors.Join(err, fired, l.Close())
}
