package ring_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// againVar makes the test binary one that makes rings, one after the other, with little
// locked memory.
const againVar = "RING_TEST_AGAIN"

const times = 5

func again() {
	err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10})
	for i := 0; i < times && err == nil; i++ {
		_, err = ring.Probe(ring.Options{Entries: 1024})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// The kernel needs a moment to give back what a closed ring had locked. Before 5.12, and
// from 6.14 on, it charges rings to their user.
func TestARingIsMadeWhereAnotherHasJustBeen(t *testing.T) {
	probe(t, ring.Options{})
	if os.Geteuid() != 0 {
		t.Skip("only root can become a user that nobody is, and its own memory isn't limited")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	b, err := os.ReadFile(self)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "ring") // which anybody can enter, t.TempDir not
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	name := filepath.Join(dir, "ring")
	require.NoError(t, os.WriteFile(name, b, 0o755))
	c := exec.Command(name)
	c.Dir, c.Env = "/", append(os.Environ(), againVar+"=1", "GORACE=atexit_sleep_ms=0")
	nobody := uint32(1<<21 + os.Getpid()) // the limit counts what all of the user's processes have
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
}
