//go:build linux

package optest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The tests of futexes.
var futexTests = []test{
	{"Futex_AWaitIsSupportedOrSaysWhatItNeeds", futexSupport},
	{"Futex_WakesAsManyAsAsked", futexCounts},
	{"Futex_AnotherValueEndsAtOnce", futexValue},
	{"Futex_AWaitIsCancelled", futexCancel},
	{"Futex_WakesThreadsThatWaitThemselves", futexThread},
	{"Futex_BetweenProcesses", futexProcesses},
	{"Futex_ImpossibleWordsAreErrors", futexInvalid},
}

// futexWaitNow is FUTEX_WAIT of futex(2), of this thread.
func futexWaitNow(word *uint32, val uint32) error {
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 0, uintptr(val), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// futexWakeNow is FUTEX_WAKE of futex(2).
func futexWakeNow(word *uint32, n int) (int, error) {
	r, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 1, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// needFutexWait skips where the engine can't wait for futexes.
func (e *env) needFutexWait() {
	e.Helper()
	if err := e.loop.Supports(op.FutexWait); err != nil {
		e.Skip(err)
	}
}

func futexSupport(e *env) {
	l := e.start()
	for c := op.Nop; c < op.NumCodes; c++ {
		if c != op.FutexWait {
			require.NoError(e, l.Supports(c))
		}
	}
	err := l.Supports(op.FutexWait)
	if err == nil {
		return // the other tests show that it does
	}
	require.ErrorIs(e, err, errors.ErrUnsupported)
	require.ErrorContains(e, err, "needs io_uring of Linux 6.7")
	for range 3 {
		_, err = e.do(func(o *op.Op) *op.Op { return o.FutexWait(new(uint32), 0) })
		require.ErrorIs(e, err, errors.ErrUnsupported)
	}
}

func futexCounts(e *env) {
	e.start()
	e.needFutexWait()
	word := new(uint32)
	*word = 7
	ended := make(chan result, 10)
	ops := make([]op.Op, 5)
	for i := range ops {
		ops[i].Done = func(o *op.Op) {
			n, err := o.Result()
			ended <- result{n, err}
		}
		e.put(ops[i].FutexWait(word, 7))
	}
	e.settle()
	require.Empty(e, ended)
	wake := func(n int) int {
		woken, err := e.do(func(o *op.Op) *op.Op { return o.FutexWake(word, n) })
		require.NoError(e, err)
		return woken
	}
	require.Equal(e, 2, wake(2))
	for range 2 {
		require.Equal(e, result{0, nil}, await(e, ended))
	}
	e.settle()
	require.Empty(e, ended)
	require.Equal(e, 3, wake(1<<31-1))
	for range 3 {
		require.Equal(e, result{0, nil}, await(e, ended))
	}
	require.Equal(e, 0, wake(1))
	require.Equal(e, 0, func() int { n, _ := e.do(func(o *op.Op) *op.Op { return o.FutexWake(new(uint32), 1) }); return n }())
}

func futexValue(e *env) {
	e.start()
	e.needFutexWait()
	word := new(uint32)
	*word = 1
	for range 5 {
		n, err := e.do(func(o *op.Op) *op.Op { return o.FutexWait(word, 2) })
		require.ErrorIs(e, err, syscall.EAGAIN)
		require.Zero(e, n)
	}
}

func futexCancel(e *env) {
	l := e.start()
	e.needFutexWait()
	word := new(uint32)
	j := newJob()
	for range 10 {
		t := e.put(j.FutexWait(word, 0))
		j.stillPending(e)
		require.True(e, l.Cancel(t))
		j.waitFor(e, 0, op.ErrCanceled)
	}
	e.put(j.FutexWait(word, 0).SetTimeout(time.Millisecond))
	j.waitFor(e, 0, os.ErrDeadlineExceeded)
	woken, err := e.do(func(o *op.Op) *op.Op { return o.FutexWake(word, 1) })
	require.NoError(e, err)
	require.Zero(e, woken, "nobody waits any more")
}

// wakeOne wakes by the loop until somebody was woken: nothing tells that a thread or
// another process has begun to wait.
func (e *env) wakeOne(word *uint32) {
	e.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		n, err := e.do(func(o *op.Op) *op.Op { return o.FutexWake(word, 1) })
		require.NoError(e, err)
		if n == 1 {
			return
		}
		require.Zero(e, n)
		require.True(e, time.Now().Before(end), "nobody waits")
	}
}

func futexThread(e *env) {
	e.start()
	word := new(uint32)
	woken := make(chan error, 1)
	go func() {
		for {
			err := futexWaitNow(word, 0)
			if err != syscall.EINTR {
				woken <- err
				return
			}
		}
	}()
	e.wakeOne(word)
	require.NoError(e, await(e, woken))
}

// futexVariable makes the test program the other process of futexProcesses.
const futexVariable = "PROACTOR_OPTEST_FUTEX"

// The words that the two processes share.
const (
	toChild  = iota // the child waits here
	toParent        // the loop waits here
	words
)

func mapWords(fd int) ([]uint32, []byte, error) {
	b, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), words), b, nil
}

// futexChild waits to be woken, and then wakes.
func futexChild() {
	w, _, err := mapWords(3)
	if err != nil {
		os.Exit(2)
	}
	for atomic.LoadUint32(&w[toChild]) == 0 {
		_ = futexWaitNow(&w[toChild], 0)
	}
	atomic.StoreUint32(&w[toParent], 1)
	if _, err := futexWakeNow(&w[toParent], 1<<30); err != nil {
		os.Exit(3)
	}
	os.Exit(0)
}

func futexProcesses(e *env) {
	e.start()
	fd, err := unix.MemfdCreate("words", unix.MFD_CLOEXEC)
	require.NoError(e, err)
	f := os.NewFile(uintptr(fd), "words")
	defer f.Close()
	require.NoError(e, f.Truncate(int64(os.Getpagesize())))
	w, memory, err := mapWords(fd)
	require.NoError(e, err)
	defer func() { require.NoError(e, unix.Munmap(memory)) }()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), futexVariable+"=1")
	other.ExtraFiles = []*os.File{f}
	other.Stderr = os.Stderr
	require.NoError(e, other.Start())
	e.Cleanup(func() { // if the test failed
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	j := newJob()
	can := e.loop.Supports(op.FutexWait) == nil
	if can {
		e.put(j.FutexWait(&w[toParent], 0))
		j.stillPending(e)
	}
	e.wakeOne(&w[toChild]) // it looks at the word, and waits again
	atomic.StoreUint32(&w[toChild], 1)
	_, err = e.do(func(o *op.Op) *op.Op { return o.FutexWake(&w[toChild], 1) })
	require.NoError(e, err)
	if can {
		j.waitFor(e, 0, nil)
		require.EqualValues(e, 1, atomic.LoadUint32(&w[toParent]))
	}
	require.NoError(e, other.Wait())
}

func futexInvalid(e *env) {
	l := e.start()
	for _, n := range []int{0, -1} {
		o := &op.Op{Done: func(*op.Op) {}}
		_, err := l.Submit(o.FutexWake(new(uint32), n))
		require.ErrorIs(e, err, op.ErrInvalid)
	}
	b := make([]uint32, 2)
	odd := (*uint32)(unsafe.Add(unsafe.Pointer(&b[0]), 1))
	_, err := e.do(func(o *op.Op) *op.Op { return o.FutexWake(odd, 1) })
	require.ErrorIs(e, err, syscall.EINVAL)
	require.Panics(e, func() { new(op.Op).FutexWait(nil, 0) })
	e.needFutexWait()
	_, err = e.do(func(o *op.Op) *op.Op { return o.FutexWait(odd, 0) })
	require.ErrorIs(e, err, syscall.EINVAL)
	memory, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(e, err)
	defer func() { require.NoError(e, unix.Munmap(memory)) }()
	_, err = e.do(func(o *op.Op) *op.Op {
		return o.FutexWait((*uint32)(unsafe.Pointer(unsafe.SliceData(memory))), 0)
	})
	require.ErrorIs(e, err, syscall.EFAULT)
}
