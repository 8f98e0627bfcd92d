package op

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAnExitIsReadAsWaitEncodesIt(t *testing.T) {
	require.EqualValues(t, 128, unsafe.Sizeof(Exit{}), "siginfo_t")
	fill := func(code, status int32) *Exit {
		x := new(Exit)
		require.True(t, x.Empty())
		x.info.Signo, x.info.Code = int32(unix.SIGCHLD), code
		w := (*[32]int32)(unsafe.Pointer(&x.info))
		w[wordPID], w[wordStatus] = 1234, status
		require.False(t, x.Empty())
		require.Equal(t, 1234, x.Pid())
		return x
	}
	s := fill(1, 255).Status()
	require.True(t, s.Exited())
	require.Equal(t, 255, s.ExitStatus())
	s = fill(2, int32(syscall.SIGKILL)).Status()
	require.True(t, s.Signaled())
	require.Equal(t, syscall.SIGKILL, s.Signal())
	require.False(t, s.CoreDump())
	s = fill(3, int32(syscall.SIGSEGV)).Status()
	require.Equal(t, syscall.SIGSEGV, s.Signal())
	require.True(t, s.CoreDump())
}
