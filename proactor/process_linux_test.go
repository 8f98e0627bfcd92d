package proactor_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ended is what WaitProcess tells.
type ended struct {
	pid    int
	status syscall.WaitStatus
	err    error
}

func waitProcess(t *testing.T, l *proactor.Loop, pid int, to chan ended) proactor.Ticket {
	t.Helper()
	k, err := l.WaitProcess(pid, func(s syscall.WaitStatus, err error) { to <- ended{pid, s, err} })
	require.NoError(t, err)
	return k
}

func TestHundredsOfProcessesAreWaitedForAtOnce(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		n := 300
		if testing.Short() {
			n = 50
		}
		// A child of package os/exec lives beside them, and isn't touched.
		other := exec.Command(os.Args[0])
		other.Env = append(os.Environ(), "PROACTOR_OPTEST_CHILD=5")
		in, err := other.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, other.Start())
		to := make(chan ended, n)
		codes, ends := map[int]int{}, map[int]func(){}
		for i := range n {
			pid, end := optest.Child(t, i%100)
			codes[pid], ends[pid] = i%100, end
			waitProcess(t, l, pid, to)
		}
		for pid, end := range ends {
			if codes[pid]%10 == 9 {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			} else {
				end()
			}
		}
		for range n {
			x := got(t, to)
			require.NoError(t, x.err)
			code, ours := codes[x.pid]
			require.True(t, ours)
			delete(codes, x.pid)
			if code%10 == 9 {
				require.True(t, x.status.Signaled())
				require.Equal(t, syscall.SIGKILL, x.status.Signal())
			} else {
				require.True(t, x.status.Exited())
				require.Equal(t, code, x.status.ExitStatus())
			}
			require.Equal(t, syscall.ECHILD, unix.Waitid(unix.P_PID, x.pid, nil, unix.WEXITED|unix.WNOHANG, nil), "it is reaped")
		}
		handlesLeft(t, l, 0)
		require.NoError(t, in.Close())
		var exit *exec.ExitError
		require.ErrorAs(t, other.Wait(), &exit)
		require.Equal(t, 5, exit.ExitCode())
	})
}

func TestAWaitForAProcessCanBeGivenUp(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		pid, end := optest.Child(t, 6)
		before := optest.Descriptors()
		to := make(chan ended, 2)
		for range 3 {
			require.True(t, l.Cancel(waitProcess(t, l, pid, to)))
			require.ErrorIs(t, got(t, to).err, proactor.ErrCanceled)
		}
		sameFDs(t, before)
		waitProcess(t, l, pid, to)
		end()
		x := got(t, to)
		require.NoError(t, x.err)
		require.Equal(t, 6, x.status.ExitStatus())
		_, err := l.WaitProcess(pid, func(syscall.WaitStatus, error) {})
		require.ErrorIs(t, err, syscall.ESRCH)
		waitProcess(t, l, os.Getppid(), to)
		require.ErrorIs(t, got(t, to).err, syscall.ECHILD)
	})
}

func TestWaitsForProcessesEndWithTheLoop(t *testing.T) {
	for _, name := range []string{"io_uring", "epoll"} {
		t.Run(name, func(t *testing.T) {
			l := loopOn(t, name)
			to := make(chan ended, 20)
			ends := map[int]func(){}
			for range cap(to) {
				pid, end := optest.Child(t, 8)
				ends[pid] = end
				waitProcess(t, l, pid, to)
			}
			early := 0
			for _, end := range ends {
				if early++; early > len(ends)/2 {
					break
				}
				end() // some end before the loop does, or at the same time
			}
			require.NoError(t, l.Close())
			for range ends {
				switch x := got(t, to); x.err {
				case nil:
					require.Equal(t, 8, x.status.ExitStatus())
				default:
					require.ErrorIs(t, x.err, proactor.ErrClosed)
					ends[x.pid]()
					var s syscall.WaitStatus
					for {
						if _, err := syscall.Wait4(x.pid, &s, 0, nil); err != syscall.EINTR {
							require.NoError(t, err, "it is still there")
							break
						}
					}
					require.Equal(t, 8, s.ExitStatus())
				}
			}
			_, err := l.WaitProcess(os.Getpid(), nil)
			require.ErrorIs(t, err, proactor.ErrClosed)
		})
	}
}
