package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// childVar makes the test binary the program itself.
const childVar = "DOCTOR_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" || os.Getenv(probeVar) != "" {
		main()
		return
	}
	optest.Main(m)
}

// needRing skips where the system refuses io_uring altogether; with
// PROACTOR_TEST_RING=must that is a failure.
func needRing(t *testing.T) {
	loop, err := proactor.New(proactor.WithEngineName("io_uring"))
	refused := errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS)
	if refused && os.Getenv("PROACTOR_TEST_RING") != "must" {
		t.Skip("io_uring is forbidden here: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, loop.Close())
}

// self is the program as a process of its own, with engine as PROACTOR_ENGINE.
func self(t *testing.T, engine string, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	require.NoError(t, err)
	return command(engine, exe, args...)
}

func command(engine, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	// A binary of the race detector sleeps for a second before it exits.
	c.Env = append(os.Environ(), childVar+"=1", "GORACE=atexit_sleep_ms=0", proactor.EngineVar+"="+engine)
	return c
}

// result returns what the program prints, and its exit status.
func result(t *testing.T, c *exec.Cmd) (string, int) {
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	require.Empty(t, errs.String())
	return out.String(), c.ProcessState.ExitCode()
}

func TestWhereIoUringWorksTheStatusIs0(t *testing.T) {
	needRing(t)
	out, status := result(t, self(t, "auto"))
	require.Equal(t, works, status, out)
	require.Contains(t, out, "engine   io_uring: io_uring works here\n")
	require.Regexp(t, `(?m)^io_uring works: \d+ entries, \d+ completions$`, out)
	require.Regexp(t, `(?m)^  (yes|no )   DEFER_TASKRUN +6\.1`, out)
	require.Regexp(t, `(?m)^  \d+ of \d+ operations by the ring itself`, out)
	require.Contains(t, out, "\nepoll works\n")
	require.Regexp(t, `(?m)^  \w+ +RLIMIT_NOFILE +\d+`, out)
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, len(line), width+1, line)
	}
	all, _ := result(t, self(t, "auto", "-all"))
	require.Regexp(t, `(?m)^  yes   recv +5\.6$`, all)
}

func TestMachinesGetJSON(t *testing.T) {
	needRing(t)
	out, status := result(t, self(t, "io_uring", "-json"))
	var r report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, works, status)
	require.Equal(t, works, r.Status)
	require.Equal(t, "io_uring", r.Engine)
	require.Equal(t, "chosen by PROACTOR_ENGINE", r.Why)
	require.True(t, r.Ring.Works && r.Ring.Tried && r.Epoll.Works)
	require.Positive(t, r.Ring.Entries)
	require.Greater(t, len(r.Ring.Features), 10)
	require.Greater(t, len(r.Ring.Operations), 30)
	require.Len(t, r.Checks, 11)
}

func TestWithEpollIoUringIsNotTried(t *testing.T) {
	for name, c := range map[string]*exec.Cmd{"variable": self(t, "epoll", "-json"), "flag": self(t, "auto", "-engine", "epoll", "-json")} {
		var out string
		status := 0
		filtered(t, unix.SYS_IO_URING_SETUP, kill, func() { out, status = result(t, c) })
		var r report
		require.NoError(t, json.Unmarshal([]byte(out), &r), name)
		require.Equal(t, epollOnly, status, name)
		require.False(t, r.Ring.Tried, name)
		require.Equal(t, "epoll", r.Engine, name)
	}
}

func TestAFilterIsFoundAndThereIsAdvice(t *testing.T) {
	needRing(t) // else it may be something else that forbids it
	for _, call := range []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER} {
		for _, errno := range []syscall.Errno{unix.EPERM, unix.ENOSYS} {
			var out string
			status := 0
			filtered(t, call, fail|uint32(errno), func() { out, status = result(t, self(t, "auto")) })
			require.Equal(t, epollOnly, status, out)
			require.Contains(t, out, "engine   epoll: no io_uring: ")
			require.Contains(t, out, "\nio_uring doesn't work, see above\n")
			require.Regexp(t, `(?m)^  bad   seccomp +(\d+ filters|a filter), and io_uring is refused`, out)
			require.Contains(t, out, "-seccomp")
		}
	}
}

func TestOneWhoIsKilledForTryingIsReported(t *testing.T) {
	var out string
	status := 0
	filtered(t, unix.SYS_IO_URING_SETUP, kill, func() { out, status = result(t, self(t, "auto")) })
	require.Equal(t, epollOnly, status, out)
	require.Contains(t, out, "engine   none: a program that may try io_uring would not survive it: set PROACTOR_ENGINE=epoll\n")
	require.Contains(t, out, "killed by signal 31 (bad system call)")
	require.Contains(t, out, "\nepoll works\n")
	require.Regexp(t, `(?m)^  bad   seccomp`, out)
}

func TestLimitsOfTheShellAreSeen(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	out, _ := result(t, command("auto", "sh", "-c", `ulimit -n 64 && ulimit -l 64 && exec "$0"`, exe))
	require.Regexp(t, `(?m)^  bad   RLIMIT_NOFILE +64$`, out)
	require.Regexp(t, `(?m)^  \w+ +RLIMIT_MEMLOCK +64 KiB`, out)
	out, _ = result(t, command("epoll", "sh", "-c", `GOMAXPROCS=1 exec "$0"`, exe))
	require.Regexp(t, `(?m)^  note  GOMAXPROCS +1$`, out)
}

// Kernels that charge rings to the user (before 5.12, from 6.14 on) give a smaller one.
func TestLittleLockedMemoryMakesASmallerRing(t *testing.T) {
	needRing(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can become a user that nobody is")
	}
	dir, err := os.MkdirTemp("/tmp", "doctor") // that anybody can enter, t.TempDir's parents not
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	exe, err := os.Executable()
	require.NoError(t, err)
	b, err := os.ReadFile(exe)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+"/doctor", b, 0o755))
	c := command("auto", "sh", "-c", `ulimit -l 64 && exec "$0" -json`, dir+"/doctor")
	c.Dir = "/"
	nobody := uint32(1<<20 + os.Getpid()) // the limit counts what all of the user's processes have
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, status := result(t, c)
	var r report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, works, status, out)
	require.Equal(t, "io_uring", r.Engine, r.Why)
	for _, c := range r.Checks {
		if c.Name == "RLIMIT_MEMLOCK" {
			require.Equal(t, r.Ring.Entries < entries, c.Level == note, "%d entries: %v", r.Ring.Entries, c)
		}
	}
}

func TestWithoutAnyEngineTheStatusIs2(t *testing.T) {
	r := &report{Ring: ringReport{trial: trial{Error: "refused"}, Tried: true}, Epoll: trial{Error: "neither"}, Why: "no reason"}
	require.Equal(t, nothing, r.status())
	var out bytes.Buffer
	require.NoError(t, r.print(&out, false))
	require.Contains(t, out.String(), "engine   none: no reason\n")
	require.Contains(t, out.String(), "io_uring doesn't work: refused\n")
	require.Contains(t, out.String(), "epoll doesn't work: neither\n")
	r.Epoll = trial{Works: true}
	require.Equal(t, epollOnly, r.status())
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"more", "-no", "-seccomp a b", "-seccomp -json"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
	_, status := result(t, self(t, "kqueue"))
	require.Contains(t, []int{works, epollOnly}, status, "what works does so, whatever the variable says")
	out, _ := result(t, self(t, "kqueue"))
	require.Contains(t, out, `unknown engine "kqueue"`)
}

// What a filter answers a system call with (man 2 seccomp).
const (
	fail uint32 = 0x00050000 // SECCOMP_RET_ERRNO
	kill uint32 = 0x80000000 // SECCOMP_RET_KILL_PROCESS
)

// filtered calls f on a thread for whose children a system call comes to an answer.
func filtered(t *testing.T, call, answer uint32, f func()) {
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends here
		if err = filter(call, answer); err == nil {
			f()
		}
	}()
	<-done
	require.NoError(t, err)
}

func filter(call, answer uint32) error {
	const allow = 0x7fff0000 // SECCOMP_RET_ALLOW
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number, which the data begins with
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: answer},
		{Code: unix.BPF_RET | unix.BPF_K, K: allow},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
