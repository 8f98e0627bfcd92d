package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// rwfDsync makes a write durable before it completes: pwritev2(2).
const rwfDsync = unix.RWF_DSYNC

// openDirect has a file's reads and writes go past the page cache: open(2).
const openDirect = unix.O_DIRECT

// lockFile locks a file for this process, if no other has it: with a lock that what this
// one opens anew shares. Flock(2) has locks of open files, and each of these keeps the
// file locked while the kernel works on it, also for a process that was killed.
func lockFile(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	return shareLock(f)
}

func shareLock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) }

// duplicateFD returns one more descriptor of an open file.
func duplicateFD(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

// reopen opens a file anew, whatever its name is now.
func reopen(f *os.File, flags int) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR|flags, 0)
}

// syncDir makes the names in a file's directory durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// cpuTimes returns the process's CPU time in seconds.
func cpuTimes() (user, system float64) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	return float64(u.Utime.Nano()) / 1e9, float64(u.Stime.Nano()) / 1e9
}
