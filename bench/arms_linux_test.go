package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain makes this binary a server or a reader, too, when it is started as the
// program starts itself.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "-serve":
		maps.Copy(echoArms, broken)
		maps.Copy(datagramArms, brokenDatagrams)
		fatal(serveArm(os.Args[2]))
	case len(os.Args) > 3 && os.Args[1] == "-read":
		fatal(readArm(os.Args[2], os.Args[3:]))
	default:
		// A child with the race detector would sleep a second at its end.
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
		os.Exit(m.Run())
	}
}

// serving starts an arm as the program does; it ends with the test.
func serving(t *testing.T, arm string) *child {
	runtime.LockOSThread() // never unlocked: a child dies with the thread that started it
	c, err := start(arm, -1, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.end(&figures{})) })
	return c
}

// needRing skips what can't be without io_uring, where the system refuses it
// altogether; with PROACTOR_TEST_RING=must that is a failure.
func needRing(t *testing.T, arm string) {
	if !strings.HasPrefix(arm, "io_uring") {
		return
	}
	loop, err := proactor.New(proactor.WithEngineName("io_uring"))
	refused := errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS)
	if refused && os.Getenv("PROACTOR_TEST_RING") != "must" {
		t.Skip("io_uring is forbidden here: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, loop.Close())
}

// eachArm runs the test with each server of connections.
func eachArm(t *testing.T, test func(t *testing.T, c *child)) {
	for _, arm := range slices.Sorted(maps.Keys(echoArms)) {
		t.Run(arm, func(t *testing.T) {
			needRing(t, arm)
			test(t, serving(t, arm))
		})
	}
}

var loads = []struct {
	name string
	load load
}{
	{"64 B", load{Conns: 8, Size: 64}},
	{"16 KiB", load{Conns: 8, Size: 16 << 10}},
	{"pipelined", load{Conns: 8, Size: 64, Pipe: 16}},
	{"churn", load{Conns: 8, Size: 1, Churn: true}},
}

// briefly puts a load on a server for a short time. If the machine was too busy for
// a single answer in it, it does so for longer. That is told from an answer that
// never came by the time that the load waits for one.
func briefly(l load, c *child) (err error) {
	for _, l.Time = range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, answerTime} {
		begun := time.Now()
		_, err = l.put(c)
		if !errors.Is(err, errMissing) || time.Since(begun) >= answerTime {
			break
		}
	}
	return err
}

func TestEveryArmEchoes(t *testing.T) {
	eachArm(t, func(t *testing.T, c *child) {
		for _, l := range loads {
			require.NoError(t, briefly(l.load, c), l.name)
		}
	})
}

func TestEveryArmAnswersDatagrams(t *testing.T) {
	for _, arm := range slices.Sorted(maps.Keys(datagramArms)) {
		t.Run(arm, func(t *testing.T) {
			needRing(t, arm)
			l := load{Kind: datagrams, Conns: 8, Size: 64, Pipe: 8}
			require.NoError(t, briefly(l, serving(t, l.server(arm))))
		})
	}
}

func TestAPeerThatDoesNotReadGetsItAllLater(t *testing.T) {
	t.Parallel()
	data := make([]byte, 32<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	eachArm(t, func(t *testing.T, c *child) {
		conn := dial(t, c.addr)
		sent := fill(t, conn, data)
		require.Less(t, sent, len(data), "the server reads on though its answers are not read")
		require.NoError(t, conn.CloseWrite())
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Len(t, got, sent)
		require.True(t, bytes.Equal(got, data[:sent]))
	})
}

// dial connects with small buffers, so that they are soon full.
func dial(t *testing.T, addr string) *net.TCPConn {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	tcp := conn.(*net.TCPConn)
	require.NoError(t, tcp.SetReadBuffer(64<<10))
	require.NoError(t, tcp.SetWriteBuffer(64<<10))
	return tcp
}

// fullTime without progress is taken for a full connection.
const fullTime = 30 * time.Millisecond

// fill writes until the connection takes no more, and returns how much that was.
func fill(t *testing.T, conn net.Conn, data []byte) (sent int) {
	for piece := range slices.Chunk(data, 64<<10) {
		require.NoError(t, conn.SetWriteDeadline(time.Now().Add(fullTime)))
		n, err := conn.Write(piece)
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sent
		}
		require.NoError(t, err)
	}
	return sent
}

func TestAResetConnectionHarmsNoOther(t *testing.T) {
	eachArm(t, func(t *testing.T, c *child) {
		stays := dial(t, c.addr)
		for range 10 {
			goes := dial(t, c.addr)
			_, err := goes.Write(make([]byte, 100_000))
			require.NoError(t, err)
			require.NoError(t, goes.SetLinger(0))
			require.NoError(t, goes.Close())
		}
		b := []byte("still here")
		_, err := stays.Write(b)
		require.NoError(t, err)
		got := make([]byte, len(b))
		_, err = io.ReadFull(stays, got)
		require.NoError(t, err)
		require.Equal(t, b, got)
	})
}

func TestSignalsThatDontFitTheQueueAreMadeUpFor(t *testing.T) {
	t.Parallel()
	for _, room := range []uint64{0, 3} {
		c := serving(t, "sigio")
		require.NoError(t, unix.Prlimit(c.cmd.Process.Pid, unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: room, Max: room}, nil))
		for _, l := range loads {
			require.NoError(t, briefly(l.load, c), "%s, room for %d signals", l.name, room)
		}
	}
}

func TestSelectEndsWhenADescriptorDoesNotFit(t *testing.T) {
	require.ErrorContains(t, new(selector).add(1<<20), "select has no place for descriptor 1048576")
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < 1200 {
		t.Skip("more than 1024 connections need more descriptors than RLIMIT_NOFILE allows: ", limit.Cur)
	}
	runtime.LockOSThread()
	c, err := start("select", -1, 1)
	require.NoError(t, err)
	_, err = load{Conns: 1100, Active: 8, Size: 64, Time: time.Minute}.put(c)
	require.Error(t, err)
	require.ErrorContains(t, c.end(&figures{}), "exit status 1")
}

func TestEveryArmOfAScenarioExists(t *testing.T) {
	for _, sc := range scenarios {
		for _, a := range sc.arms {
			if sc.load.Files > 0 {
				require.Contains(t, readers, a, sc.name)
			} else {
				require.Contains(t, arms[sc.load.Kind], a, sc.name)
			}
		}
	}
}
