package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func kernel() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// measure runs one arm's server in a child process and loads it.
func measure(arm string, l load) (f figures, err error) {
	cmd := exec.Command("/proc/self/exe", "-serve", arm)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return f, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return f, err
	}
	if err := startOn(cmd, 0); err != nil {
		return f, err
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	f, err = l.run(lines.Text(), cmd.Process.Pid)
	stdin.Close() // its end tells the server to report and exit
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "late "); ok {
			f.late, _ = time.ParseDuration(v)
		}
	}
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	return f, err
}

// startOn starts the child pinned to a core: it inherits the mask of the thread.
func startOn(cmd *exec.Cmd, core int) error {
	if runtime.NumCPU() < 2 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	pin(core)
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}

// pin pins the calling thread to a core.
func pin(core int) {
	if runtime.NumCPU() < 2 {
		return
	}
	var set unix.CPUSet
	set.Set(core)
	_ = unix.SchedSetaffinity(0, &set)
}

// cpuTime is what a process has used, user and system.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The fields after the name, which is in parentheses: man 5 proc_pid_stat.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
