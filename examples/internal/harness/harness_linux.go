// Package harness is what the tests of the examples share.
package harness

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

// ChildVar is the environment variable that makes a test binary the program itself. A
// value above 1 is how many descriptors it may have.
const ChildVar = "EXAMPLE_TEST_CHILD"

// Main is TestMain: the program, where ChildVar says so, else the tests, none of which
// may leak a goroutine or a descriptor.
func Main(m *testing.M, program func()) {
	child := os.Getenv(ChildVar)
	if child == "" {
		optest.Main(m)
		return
	}
	if n, _ := strconv.ParseUint(child, 10, 32); n > 1 {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n})
	}
	program()
}

// EachEngine runs the test on both engines.
func EachEngine(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range []string{"io_uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			NeedEngine(t, engine)
			test(t, engine)
		})
	}
}

// NeedEngine skips where the system refuses io_uring altogether; with
// PROACTOR_TEST_RING=must that is a failure.
func NeedEngine(t *testing.T, engine string) {
	loop, err := proactor.New(proactor.WithEngineName(engine))
	refused := errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS)
	if refused && os.Getenv("PROACTOR_TEST_RING") != "must" {
		t.Skip("io_uring is forbidden here: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, loop.Close())
}
