// Package lab is where the programs of bench measure: a core for the server and one
// for the load, a network namespace, and what a process has used.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The program runs itself again, pinned to the load's core and, as root, in a
// network namespace of its own. These variables tell the inner one of it.
const (
	cpusVar    = "PROACTOR_BENCH_CPUS"
	networkVar = "PROACTOR_BENCH_NETWORK"
	dirVar     = "PROACTOR_BENCH_DIR"
)

// The cores.
const (
	ServerCore = 0
	LoadCore   = 1
)

// Kernel is the name and the release of the kernel.
func Kernel() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// Processor is the CPU's name.
func Processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// CPUs is how many cores the machine has; in the pinned process GOMAXPROCS doesn't tell.
func CPUs() int {
	n, _ := strconv.Atoi(os.Getenv(cpusVar))
	return n
}

// Network says which network the load goes through.
func Network() string { return os.Getenv(networkVar) }

// Dir is the directory that Inside's build has filled, "" if none.
func Dir() string { return os.Getenv(dirVar) }

// Inside calls f where measurements are to be made, after build, if not nil, has
// filled a directory that exists until f returns.
func Inside(build func(dir string) error, f func() error) error {
	switch Network() {
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
	if build != nil {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := build(dir); err != nil {
			return err
		}
		env = append(env, dirVar+"="+dir)
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

// Root is the directory of the module: that of the repository, in a checkout.
func Root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

func startInside(env []string, flags uintptr) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: flags}
	cmd.Env = env
	return cmd, StartOn(cmd, LoadCore)
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
	for name, value := range map[string]string{"tcp_congestion_control": "reno", "ip_local_port_range": "8000 65535"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// StartOn starts the child pinned to a core: it inherits the mask of the thread.
// A negative core is all of them.
func StartOn(cmd *exec.Cmd, core int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	Pin(core)
	return cmd.Start()
}

// Pin pins the calling thread to a core, if there are several.
func Pin(core int) {
	n := CPUs()
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

// CPUTime is what a process has used, user and system, with the threads that have
// ended: its CPU clock (man 3 clock_getcpuclockid).
func CPUTime(pid int) time.Duration {
	const perProcess = 2 // CPUCLOCK_SCHED of a whole process
	var ts unix.Timespec
	_ = unix.ClockGettime(int32(^pid)<<3|perProcess, &ts)
	return time.Duration(ts.Nano())
}

// Resident is the resident memory of a process in bytes.
func Resident(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// TreeCPUTime is what a process and those that descend from it have used; of those that
// have ended, nothing.
func TreeCPUTime(pid int) time.Duration {
	sum := CPUTime(pid)
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, l := range lists {
		b, _ := os.ReadFile(l)
		for _, child := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				sum += TreeCPUTime(n)
			}
		}
	}
	return sum
}

// BusyTime is how long a core hasn't been idle since the machine started, what the
// hypervisor took from it included, in steps of a tick (man 5 proc_stat). It is 0 if there
// is no such core.
func BusyTime(core int) time.Duration {
	const ticks = 100 // USER_HZ
	b, _ := os.ReadFile("/proc/stat")
	name := fmt.Sprint("cpu", core)
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != name {
			continue
		}
		sum := 0
		for i, field := range fields[1:9] { // user, nice, system, idle, iowait, irq, softirq, steal
			if n, err := strconv.Atoi(field); err == nil && i != 3 && i != 4 {
				sum += n
			}
		}
		return time.Duration(sum) * time.Second / ticks
	}
	return 0
}
