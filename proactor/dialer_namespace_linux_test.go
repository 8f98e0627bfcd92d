package proactor_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// namespaceVar tells a test that it runs in a network namespace of its own.
const namespaceVar = "PROACTOR_TEST_NAMESPACE"

// inNamespace runs the calling test again, in a network namespace of its own with
// nothing but a loopback, which has the addresses 2001:db8::2 and ::3 of a network
// in which nobody else answers. It reports whether this is the inner run.
func inNamespace(t *testing.T) bool {
	if os.Getenv(namespaceVar) != "" {
		prepareNamespace(t)
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), namespaceVar+"=own")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skip("no network namespace here: ", err)
	}
	if why, skipped := skipReason(string(out)); skipped {
		t.Skip(why)
	}
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

// skipReason returns why the inner run has skipped, if it has.
func skipReason(out string) (string, bool) {
	for line := range strings.Lines(out) {
		if _, why, ok := strings.Cut(line, noNamespace); ok {
			return noNamespace + why, true
		}
	}
	return "", false
}

const noNamespace = "the namespace is of no use: "

func prepareNamespace(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip(noNamespace, "no IPv6: ", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	require.NoError(t, err)
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Skip(noNamespace, "loopback: ", err)
	}
	for _, ip := range []string{"2001:db8::2", "2001:db8::3"} {
		request := struct {
			addr   [16]byte
			prefix uint32
			index  int32
		}{netip.MustParseAddr(ip).As16(), 64, 1}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request))); e != 0 {
			t.Skip(noNamespace, "address: ", e)
		}
	}
	// A new address is of use a moment later; until then a resolver sorts what it would
	// be needed for behind the rest, and no event tells.
	for _, to := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"} {
		require.Eventually(t, func() bool {
			c, err := net.Dial("udp6", at(to, 9))
			if err != nil {
				return false
			}
			defer c.Close()
			return strings.HasPrefix(c.LocalAddr().String(), "[2001:db8::")
		}, patience, time.Millisecond)
	}
}

func TestHappyEyeballsPassABlackHole(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln := listen(t, "tcp4", "127.0.0.1:0")
		before := optest.Descriptors()
		r, _ := names(map[string][]string{"both.test.": {"127.0.0.1", "2001:db8::1"}})
		var x log
		begin := time.Now()
		c := connected(t, l, &proactor.Dialer{Resolver: r, Control: x.control}, "tcp", at("both.test.", portOf(ln)))
		require.Less(t, time.Since(begin), 2*time.Second)
		require.Equal(t, ln.Addr().String(), c.RemoteAddr().String())
		lines, times := x.all()
		require.Equal(t, []string{"tcp6 " + at("2001:db8::1", portOf(ln)), "tcp4 " + ln.Addr().String()}, lines)
		require.GreaterOrEqual(t, times[1].Sub(times[0]), 250*time.Millisecond)
		handlesLeft(t, l, 1)
		peer := accept(t, ln)
		talk(t, c, peer)
		peer.Close()
		closeConn(t, c)
		sameFDs(t, before)

		end, _ := dials(t, l, &proactor.Dialer{Resolver: r, Timeout: 50 * time.Millisecond}, "tcp6", at("both.test.", portOf(ln)))
		require.ErrorIs(t, got(t, end).err, os.ErrDeadlineExceeded, "it is a black hole")
	})
}

func TestTheFamiliesTakeTurns(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		r, _ := names(map[string][]string{"both.test.": {"127.0.0.1", "127.0.0.2", "127.0.0.3", "2001:db8::2", "2001:db8::3"}})
		var x log
		end, _ := dials(t, l, &proactor.Dialer{Resolver: r, FallbackDelay: time.Hour, Control: x.control}, "tcp", "both.test.:80")
		err := got(t, end).err
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		lines, _ := x.all()
		require.Len(t, lines, 5)
		var families []string
		for _, s := range lines {
			families = append(families, s[:4])
		}
		require.Equal(t, []string{"tcp6", "tcp4", "tcp6", "tcp4", "tcp4"}, families, lines)
		require.ErrorContains(t, err, strings.TrimPrefix(lines[0], "tcp6 "), "the first error")
	})
}
