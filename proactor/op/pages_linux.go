package op

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// pages returns n zero bytes for p, outside Go's heap: there they would count as
// live, and let as much garbage gather again. They are freed when nobody has p any
// more, hence none of its buffers either.
func pages(p *Pool, n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	runtime.AddCleanup(p, func(b []byte) { _ = unix.Munmap(b) }, b)
	return b
}
