package main

import (
	"maps"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// refusing calls f on a thread for which, and for whose children, a system call
// fails with an error, as on a system that lacks it or forbids it (man 2 seccomp).
func refusing(t *testing.T, call uint32, errno syscall.Errno, f func()) {
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends here
		if err = refuse(call, errno); err == nil {
			f()
		}
	}()
	<-done
	require.NoError(t, err)
}

func refuse(call uint32, errno syscall.Errno) error {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jump    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret     = unix.BPF_RET | unix.BPF_K
		allow   = 0x7fff0000 // SECCOMP_RET_ALLOW
		failing = 0x00050000 // SECCOMP_RET_ERRNO
	)
	filter := []unix.SockFilter{
		{Code: load}, // the number, which the data begins with
		{Code: jump, Jf: 1, K: call},
		{Code: ret, K: failing | uint32(errno)},
		{Code: ret, K: allow},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}

func TestArmsThatTheSystemRefusesAreLeftOut(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	tests := []struct {
		name  string
		call  uint32
		errno syscall.Errno
		echo  string
		reads string
	}{
		{"no Linux AIO", unix.SYS_IO_SETUP, unix.ENOSYS, "aio-poll", "aio"},
		{"no io_uring", unix.SYS_IO_URING_SETUP, unix.ENOSYS, "io_uring", "io_uring-registered"},
		{"io_uring forbidden", unix.SYS_IO_URING_SETUP, unix.EPERM, "io_uring-each", "io_uring"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := settings{rounds: 1, time: 300 * time.Millisecond, mib: 1}
			var echo, reads *result
			var err, refused error
			refusing(t, tt.call, tt.errno, func() {
				refused = unavailable(tt.echo, load{})
				echo, err = compare(s, &scenario{name: "echo", load: load{Conns: 8, Size: 64}, arms: []string{tt.echo, "net"}})
				if err == nil {
					reads, err = compare(s, &scenario{name: "reads", load: load{Files: 4}, arms: []string{tt.reads, "ReadAt"}})
				}
			})
			require.ErrorIs(t, refused, tt.errno)
			require.NoError(t, err)
			require.Equal(t, []string{"net"}, echo.Arms)
			require.Equal(t, []string{"ReadAt"}, reads.Arms)
		})
	}
}

func TestAScenarioWithoutTheArmsThatAreAskedForIsPassedBy(t *testing.T) {
	r, err := compare(settings{rounds: 1, arms: []string{"nobody"}}, &scenarios[0])
	require.NoError(t, err)
	require.Empty(t, r.Arms)
	require.ErrorIs(t, unavailable("nobody", load{}), errNoArm)
	require.ErrorIs(t, unavailable("net", load{Files: 1}), errNoArm)
	require.ErrorIs(t, unavailable("threads", load{Kind: datagrams}), errNoArm)
}

func TestAnArmThatFailsEndsTheRun(t *testing.T) {
	maps.Copy(echoArms, broken)
	t.Cleanup(func() {
		for name := range broken {
			delete(echoArms, name)
		}
	})
	runtime.LockOSThread()
	s := settings{rounds: 1, time: time.Minute}
	_, err := compare(s, &scenario{name: "echo", load: load{Conns: 8, Size: 64}, arms: []string{"broken-wrong", "net"}})
	require.ErrorIs(t, err, errWrong)
	s.time = 0
	_, err = compare(s, &scenario{name: "echo", load: load{Conns: 8, Size: 64}, arms: []string{"broken-extra", "net"}})
	require.ErrorIs(t, err, errExtra)
}
