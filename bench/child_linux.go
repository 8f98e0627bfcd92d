package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
	"golang.org/x/sys/unix"
)

// child is the server of an arm in a process of its own.
//
// It prints its address, serves, and exits when its standard input ends. Each
// line there is a mark: arms of this program count their allocations from the
// first to the second, and let a neighbour sleep and wake from the second to the
// third; at the end they print what they found.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
	addr  string
}

// command returns how to start an arm's server.
func command(arm string) *exec.Cmd {
	if dir := lab.Dir(); dir != "" {
		name, mode, _ := strings.Cut(arm, "+")
		if path := filepath.Join(dir, name); strings.HasPrefix(arm, "c-") {
			return exec.Command(path, strings.Fields(mode)...)
		}
		if slices.Contains(churners, arm) {
			return exec.Command(filepath.Join(dir, "peers"), "-serve", arm)
		}
	}
	return exec.Command("/proc/self/exe", "-serve", arm)
}

// start starts a server pinned to its core, or on all.
func start(arm string, core, procs int) (*child, error) {
	c := &child{cmd: command(arm)}
	c.cmd.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", procs))
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := lab.StartOn(c.cmd, core); err != nil {
		return nil, err
	}
	c.lines = bufio.NewScanner(out)
	if !c.lines.Scan() {
		return nil, fmt.Errorf("it didn't start: %w", c.cmd.Wait())
	}
	c.addr = c.lines.Text()
	return c, nil
}

func (c *child) mark() { _, _ = io.WriteString(c.stdin, "mark\n") }

// end ends the server and completes the figures with what it printed.
func (c *child) end(f *figures) error {
	_ = c.stdin.Close()
	for c.lines.Scan() {
		switch name, value, _ := strings.Cut(c.lines.Text(), " "); name {
		case "late":
			f.Late, _ = time.ParseDuration(value)
		case "mallocs":
			n, _ := strconv.ParseFloat(value, 64)
			f.Allocs = n / float64(max(f.Requests, 1))
		}
	}
	return c.cmd.Wait()
}

// tasks returns the threads of a process.
func tasks(pid int) []string {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	return names
}

// syscalls counts the system calls of a process until the returned function is
// called: a tracepoint of perf for each thread and those that it starts (man 2
// perf_event_open). It gives 0 where that is not allowed.
func syscalls(pid int) func() uint64 {
	id := 0
	for _, fs := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if b, err := os.ReadFile(fs + "/events/raw_syscalls/sys_enter/id"); err == nil {
			id, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		}
	}
	var fds []int
	for _, t := range tasks(pid) {
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: uint64(id), Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Bits: unix.PerfBitInherit}
		tid, _ := strconv.Atoi(filepath.Base(t))
		if fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC); err == nil {
			fds = append(fds, fd)
		}
	}
	return func() (sum uint64) {
		for _, fd := range fds {
			var n [8]byte
			_, _ = unix.Read(fd, n[:])
			sum += *(*uint64)(unsafe.Pointer(&n))
			_ = unix.Close(fd)
		}
		return sum
	}
}
