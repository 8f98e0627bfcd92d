package proactor_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { optest.Main(m) }

// engineOf opens a loop and returns its engine and the reason.
func engineOf(t *testing.T, opts ...proactor.Option) (name, why string) {
	t.Helper()
	l, err := proactor.New(opts...)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Engine()
}

func TestOptionOverridesEnvironment(t *testing.T) {
	t.Setenv(proactor.EngineVar, "nonsense")
	name, why := engineOf(t, proactor.WithEngineName("epoll"))
	require.Equal(t, "epoll", name)
	require.Contains(t, why, "option")
}

func TestEnvironmentChooses(t *testing.T) {
	t.Setenv(proactor.EngineVar, "epoll")
	name, why := engineOf(t)
	require.Equal(t, "epoll", name)
	require.Contains(t, why, proactor.EngineVar)
}

func TestUnknownEngineIsAnError(t *testing.T) {
	t.Setenv(proactor.EngineVar, "kqueue")
	_, err := proactor.New()
	require.ErrorContains(t, err, "kqueue")
}

func TestAutoNeverFailsAndForcedRingNamesTheCause(t *testing.T) {
	t.Setenv(proactor.EngineVar, "")
	name, why := engineOf(t)
	l, err := proactor.New(proactor.WithEngineName("io_uring"))
	if err == nil {
		require.NoError(t, l.Close())
		require.Equal(t, "io_uring", name)
		return
	}
	require.Equal(t, "epoll", name)
	require.Contains(t, why, "no io_uring: ")
	var errno syscall.Errno
	require.True(t, errors.As(err, &errno), "the kernel's answer is in the error: %v", err)
	require.Regexp(t, "sysctl|seccomp|RLIMIT_MEMLOCK|oldest", err.Error())
	if os.Getenv("PROACTOR_TEST_RING") == "must" {
		t.Fatal("the ring must run here: ", err)
	}
}

func TestALoopWhoseContextHasEndedReturnsItsCause(t *testing.T) {
	l, err := proactor.New()
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("enough")
	cancel(reason)
	require.ErrorIs(t, l.Run(ctx), reason)
}
