package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// directFlag opens a file for reads past the page cache: open(2).
const directFlag = unix.O_DIRECT

// pageSize is an alignment that every disk and file system takes.
const pageSize = 4096

// clearDirect makes the reads of an open file go through the page cache.
func clearDirect(fd int) {
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^unix.O_DIRECT)
	}
}

// allocate returns n bytes that begin on a page. They cost nothing before they
// are used.
func allocate(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

func release(memory []byte) { _ = unix.Munmap(memory) }

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
