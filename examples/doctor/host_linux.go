package main

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// thisHost reads the system that the program runs on.
func thisHost() *host {
	h := &host{files: os.DirFS("/"), env: os.Getenv, procs: runtime.GOMAXPROCS(0), root: os.Geteuid() == 0, pageSize: uint64(os.Getpagesize())}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.kernel, h.build, h.machine = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]), unix.ByteSliceToString(u.Machine[:])
	}
	h.memlock, h.nofile = rlimit(unix.RLIMIT_MEMLOCK), rlimit(unix.RLIMIT_NOFILE)
	return h
}

func rlimit(which int) limit {
	var l unix.Rlimit
	if unix.Getrlimit(which, &l) != nil {
		return limit{unlimited, unlimited}
	}
	return limit{l.Cur, l.Max}
}
