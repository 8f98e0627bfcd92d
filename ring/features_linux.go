package ring

import (
	"os"
	"runtime"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Probe opens an engine as New does, finds out what the kernel's ring can do, and
// closes it: for programs that tell about their surroundings. An error is New's, an
// *Error that names the likely cause. It takes a few milliseconds.
//
// Some sandboxes kill a process for the attempt.
func Probe(o Options) (info Info, err error) {
	done := make(chan struct{})
	go func() { // the ring belongs to a thread, which ends with it: see prove
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		var e *Engine
		if e, err = New(o); err != nil {
			return
		}
		if err = e.Enter(); err == nil {
			// Whether the kernel takes these shows when it is given them.
			e.Use(op.NewPool(2, 4096, func() {}))
			e.Register(make([]byte, os.Getpagesize()))
			info = e.info()
		}
		_ = e.Close()
	}()
	<-done
	return info, err
}

func (e *Engine) info() Info {
	return Info{
		Entries:     int(e.r.sizes.entries),
		Completions: int(e.r.sizes.completions),
		Features:    e.features(),
		Operations:  e.operations(),
	}
}

func (e *Engine) features() []Feature {
	flag := func(f uint32) bool { return e.flags&f != 0 }
	return []Feature{
		{"registered ring descriptor", version(5, 18), e.selfKnown, "each system call looks it up"},
		{"SUBMIT_ALL", version(5, 18), flag(setupSubmitAll), "an operation that the kernel refuses holds back those submitted with it"},
		{"messages between rings", version(5, 18), !e.messages.off, "loops wake one another by a system call"},
		{"COOP_TASKRUN", version(5, 19), flag(setupCoopTaskrun | setupDeferTaskrun), "completions interrupt the loop: an echo costs 30 to 35 % more CPU than with DEFER_TASKRUN"},
		{"registered memory", version(5, 19), e.memory.n > 0, "Loop.Memory is as any other; RLIMIT_MEMLOCK can be the cause"},
		{"multishot accept", version(5, 19), e.native[op.AcceptEach], "readiness, then a system call for each connection"},
		{"SINGLE_ISSUER", version(6, 0), flag(setupSingleIssuer), "the kernel locks the ring; a long send is several operations"},
		{"multishot receive", version(6, 0), e.native[op.RecvEach], "readiness, then a system call for each Buffer of RecvEach"},
		{"zero-copy send", version(6, 0), e.zeroCopy, "SendZeroCopy copies"},
		{"DEFER_TASKRUN", version(6, 1), flag(setupDeferTaskrun), "completions come between: an echo of 16 KiB costs 5 % more CPU"},
		{"zero-copy report", version(6, 3), e.zeroCopy && e.zcFlags != 0, "SendZeroCopy doesn't hear whether the kernel has copied, and says that it has"},
		{"NO_SQARRAY", version(6, 6), flag(setupNoSQArray), "the kernel reads an index for each operation"},
	}
}

// operations are those with an opcode of their own that New doesn't insist on.
func (e *Engine) operations() (all []Feature) {
	for c := op.None + 1; c < op.NumCodes; c++ {
		switch i := c.Info(); {
		case opcodes[c] < 0, i.Multi, c == op.SendZC, c == op.Nop, c == op.Poll:
		default:
			all = append(all, Feature{i.Name, i.Kernel, e.native[c], c.Elsewhere()})
		}
	}
	return all
}

func version(major, minor int) op.Version { return op.Version{Major: major, Minor: minor} }
