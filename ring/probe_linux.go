package ring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// probe asks a ring which opcodes its kernel has: true for each operation that
// the ring executes itself.
func probe(r *rings, o *Options) (native [op.NumCodes]bool, err error) {
	var p struct {
		last, n uint8
		_       [14]byte
		ops     [256]struct {
			_, _  uint8
			flags uint16
			_     uint32
		}
	}
	if _, err := sysRegister(r.fd, registerProbe, unsafe.Pointer(&p), uintptr(len(p.ops))); err != nil {
		return native, refuse("probe of opcodes", err)
	}
	has := func(c int) bool { return c >= 0 && p.ops[c].flags&1 != 0 }
	if !has(opNop) || !has(opPollAdd) || !has(opCancel) {
		return native, refuse("probe of opcodes", errOld)
	}
	for c := range native {
		native[c] = has(opcodes[c]) && !slices.Contains(o.MaskCodes, op.Code(c))
	}
	return native, nil
}

// prove makes round trips on a throw-away ring: a filter can allow the set-up
// and forbid the rest. It runs on a thread of its own, as a ring belongs to one,
// which ends with it: the kernel takes a closed ring apart in the background, and
// before 6.0 that could disturb the next ring of the same thread.
func prove(o *Options) (native [op.NumCodes]bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		native, err = proveHere(o)
	}()
	<-done
	return native, err
}

func proveHere(o *Options) (native [op.NumCodes]bool, err error) {
	r := new(rings)
	flags, err := open(r, o, minEntries)
	if err != nil {
		return native, err
	}
	defer r.close()
	if native, err = probe(r, o); err != nil {
		return native, err
	}
	if flags&setupDisabled != 0 {
		if err = r.enable(); err != nil {
			return native, refuse("enable", err)
		}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return native, refuse("socketpair", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	t := &trial{r: r, results: map[uint64]int32{}}
	t.heard = t.hear
	return native, t.run(int32(pair[0]), pair[1])
}

// trial is a conversation with a ring that isn't trusted yet.
type trial struct {
	r       *rings
	results map[uint64]int32
	heard   func(*cqe)
}

func (t *trial) hear(c *cqe) { t.results[c.userData] = c.res }

// run does nothing, waits for readiness that comes, and cancels a wait.
func (t *trial) run(fd int32, peer int) error {
	if err := t.expect("nop", sqe{opcode: opNop, userData: 1}, 1, 0); err != nil {
		return err
	}
	if _, err := unix.Write(peer, []byte{1}); err != nil {
		return refuse("socketpair", err)
	}
	poll := sqe{opcode: opPollAdd, fd: fd, opFlags: pollMask(unix.POLLIN), userData: 2}
	if err := t.expect("poll", poll, 2, unix.POLLIN); err != nil {
		return err
	}
	var b [1]byte
	if _, err := unix.Read(int(fd), b[:]); err != nil {
		return refuse("socketpair", err)
	}
	poll.userData = 3
	*t.r.next() = poll
	cancel := sqe{opcode: opCancel, fd: -1, addr: 3, userData: 4}
	return t.expect("cancel", cancel, 3, -int32(unix.ECANCELED))
}

var errProof = errors.New("unexpected result")

// expect submits s and waits, for a second at most, until id has completed.
func (t *trial) expect(what string, s sqe, id uint64, want int32) error {
	*t.r.next() = s
	for end := time.Now().Add(time.Second); ; {
		if err := t.r.enterWait(int64(100 * time.Millisecond)); err != nil {
			return refuse(what, err)
		}
		t.r.reap(sweep, t.heard)
		if res, ok := t.results[id]; ok {
			if res != want {
				return refuse(what, fmt.Errorf("%w %d instead of %d", errProof, res, want))
			}
			return nil
		}
		if time.Now().After(end) {
			return refuse(what, unix.ETIMEDOUT)
		}
	}
}
