package ring

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Error says why io_uring can't be used.
type Error struct {
	Step  string // what was tried
	Err   error  // what the kernel answered
	Cause string // the likely cause
}

func (e *Error) Error() string {
	return fmt.Sprintf("io_uring: %s: %v (%s)", e.Step, e.Err, e.Cause)
}

// Unwrap returns the kernel's answer.
func (e *Error) Unwrap() error { return e.Err }

// errOld is the answer of a kernel that lacks something needed.
var errOld = fmt.Errorf("kernel too old: %w", errors.ErrUnsupported)

func refuse(step string, err error) error {
	return &Error{Step: step, Err: err, Cause: likelyCause(err)}
}

const sysctlFile = "/proc/sys/kernel/io_uring_disabled"

func likelyCause(err error) string {
	switch {
	case errors.Is(err, errOld):
		return "Linux 5.11, or 5.10.162, is the oldest that will do"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		b, _ := os.ReadFile(sysctlFile)
		if v := strings.TrimSpace(string(b)); v == "1" || v == "2" {
			return "sysctl kernel.io_uring_disabled is " + v
		}
		return "a seccomp filter or security module forbids it, as the default of container runtimes does"
	case errors.Is(err, unix.ENOSYS):
		return "the kernel is older than 5.1 or built without io_uring, or a container's seccomp filter hides it"
	case errors.Is(err, unix.ENOMEM):
		var l unix.Rlimit
		_ = unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l)
		return fmt.Sprintf("RLIMIT_MEMLOCK is %d KiB, for all processes of the user", l.Cur/1024)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "no file descriptor is free"
	}
	return "a sandbox (gVisor, seccomp) or an unusual kernel"
}

// A ring with a single issuer is set up disabled, and enabled by its loop's
// thread. Others are not: enabling waits until the ring is quiescent on kernels
// before 6.0, and has been seen to wait for ever.

// ladder are the sets of set-up flags to try, best first. A kernel that doesn't
// know a flag answers EINVAL. Without any, an echo costs 30-35 % more CPU than
// with DEFER_TASKRUN.
var ladder = []uint32{
	setupSubmitAll | setupSingleIssuer | setupDisabled | setupDeferTaskrun | setupNoSQArray, // 6.6
	setupSubmitAll | setupSingleIssuer | setupDisabled | setupDeferTaskrun,                  // 6.1
	setupSubmitAll | setupCoopTaskrun | setupTaskrunFlag,                                    // 5.19
	setupSubmitAll, // 5.18
	0,
}

// always is part of each set: a completion queue of a size of our own, cut to
// what the kernel allows.
const always = setupCQSize | setupClamp

// minEntries is the size at which lack of memory is an error.
const minEntries = 8

// The kernel takes a closed ring apart in the background, and only then its memory is
// locked no more: under a low limit a program that is started anew finds none for a
// moment.
const (
	memoryTries = 25
	memoryPause = 10 * time.Millisecond
)

// needed are the features without which the engine doesn't work: completions
// are never dropped, requests are copied at submission, waits have time limits.
const needed = featNoDrop | featSubmitStable | featExtArg

// open sets a ring up with the best flags that the kernel takes, and with as
// many entries as the memory limit allows.
func open(r *rings, o *Options, entries uint32) (flags uint32, err error) {
	for _, flags = range ladder {
		if flags&(o.MaskFlags|seamFlags) != 0 {
			continue
		}
		err = openFitting(r, o, entries, flags)
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return flags, err
}

// sizes are the lengths of the two queues.
type sizes struct{ entries, completions uint32 }

func openFitting(r *rings, o *Options, entries, flags uint32) error {
	wanted := entries
	for try := 0; ; {
		p := &params{flags: always | flags, cqEntries: 4 * entries}
		err := r.setup(entries, p)
		switch {
		case err == nil && p.features&^o.MaskFeatures&needed != needed:
			r.close()
			return refuse("set-up", errOld)
		case err == nil:
			r.features = p.features &^ o.MaskFeatures
			r.sizes = sizes{p.sqEntries, p.cqEntries}
			return nil
		case errors.Is(err, unix.ENOMEM) && entries > minEntries:
			entries /= 2
		case errors.Is(err, unix.ENOMEM) && try < memoryTries:
			try++
			time.Sleep(memoryPause)
			entries = wanted
		default:
			return refuse("set-up", err)
		}
	}
}

// enterError turns what io_uring_enter(2) answers into an error: nil for what
// the next turn mends. EINTR: the Go runtime's own signals. ETIME: the wait is
// over. EBUSY, EAGAIN: completions must be reaped, or memory freed, first; the
// entries stay in the queue.
func enterError(e syscall.Errno) error {
	switch e {
	case 0, unix.EINTR, unix.ETIME, unix.EBUSY, unix.EAGAIN:
		return nil
	}
	return e
}
