package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The program runs itself again, pinned to the load's core and, as root, in a
// network namespace of its own. These variables tell the inner one of it.
const (
	cpusVar    = "PROACTOR_BENCH_CPUS"
	networkVar = "PROACTOR_BENCH_NETWORK"
	peersVar   = "PROACTOR_BENCH_PEERS"
)

const (
	serverCore = 0
	loadCore   = 1
)

func kernel() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// processor is the CPU's name.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func cpus() int {
	n, _ := strconv.Atoi(os.Getenv(cpusVar))
	return n
}

func network() string { return os.Getenv(networkVar) }

// inside calls f where measurements are to be made.
func inside(f func() error) error {
	switch network() {
	case "own namespace, reno":
		if err := prepareNetwork(); err != nil {
			return err
		}
		fallthrough
	case "host":
		runtime.LockOSThread() // children die with the thread that started them
		return f()
	}
	env := append(os.Environ(), fmt.Sprint(cpusVar, "=", runtime.NumCPU()))
	if slices.Contains(os.Args, "-peers") {
		dir, err := buildPeers()
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		env = append(env, peersVar+"="+dir)
	}
	runtime.LockOSThread()
	cmd, err := startInside(append(env, networkVar+"=own namespace, reno"), syscall.CLONE_NEWNET)
	if errors.Is(err, syscall.EPERM) { // not root, or a container
		cmd, err = startInside(append(env, networkVar+"=host"), 0)
	}
	if err != nil {
		return err
	}
	if cmd.Wait() != nil {
		return errors.New("the measurement failed")
	}
	return nil
}

func startInside(env []string, flags uintptr) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: flags}
	cmd.Env = env
	return cmd, startOn(cmd, loadCore)
}

// prepareNetwork brings the new namespace's loopback up.
func prepareNetwork() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	for name, value := range map[string]string{"tcp_congestion_control": "reno", "ip_local_port_range": "1024 65535"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// buildPeers builds the programs of bench/peers into a directory.
func buildPeers() (dir string, err error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("-peers works in a checkout of the repository: %w", err)
	}
	from := filepath.Join(strings.TrimSpace(string(module)), "bench", "peers")
	if dir, err = os.MkdirTemp("", "peers"); err != nil {
		return "", err
	}
	builds := [][]string{
		{"go", "build", "-C", from, "-ldflags=-checklinkname=0", "-o", filepath.Join(dir, "peers"), "."},
		{"cc", "-O2", "-o", filepath.Join(dir, "c-epoll"), filepath.Join(from, "c", "epoll.c")},
		{"cc", "-O2", "-o", filepath.Join(dir, "c-io_uring"), filepath.Join(from, "c", "io_uring.c")},
	}
	for _, b := range builds {
		if out, err := exec.Command(b[0], b[1:]...).CombinedOutput(); err != nil {
			return "", errors.Join(fmt.Errorf("%s: %w\n%s", b[0], err, out), os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// startOn starts the child pinned to a core: it inherits the mask of the thread.
// A negative core is all of them.
func startOn(cmd *exec.Cmd, core int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	pin(core)
	return cmd.Start()
}

// pin pins the calling thread to a core, if there are several.
func pin(core int) {
	n := cpus()
	if n == 0 {
		n = runtime.NumCPU()
	}
	if n < 2 {
		return
	}
	var set unix.CPUSet
	for i := range n {
		if core < 0 || i == core {
			set.Set(i)
		}
	}
	_ = unix.SchedSetaffinity(0, &set)
}
