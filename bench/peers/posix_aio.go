package main

// #cgo CFLAGS: -O2 -Wall -Wextra
// #include "posix_aio.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

var errWrong = errors.New("a block of the file doesn't begin with its number")

// readPosixAIO reads in C: see posix_aio.c. A Go program that called it for each read
// would measure those calls, too.
func readPosixAIO(name string, depth int, direct bool, d time.Duration) (f figures, err error) {
	if depth < 1 {
		return f, fmt.Errorf("depth %d", depth)
	}
	file := C.CString(name)
	defer C.free(unsafe.Pointer(file))
	var c C.struct_posix_aio_figures
	switch errno := syscall.Errno(C.posix_aio_read(file, C.int(depth), C.bool(direct), C.int64_t(d), &c)); errno {
	case 0:
	case syscall.EBADMSG:
		return f, errWrong
	default:
		return f, errno
	}
	f.Requests, f.Elapsed, f.CPU = int(c.requests), time.Duration(c.elapsed), time.Duration(c.cpu)
	latencies := (*[C.BUCKETS]uint32)(unsafe.Pointer(&c.latencies))[:] // uint32_t
	f.P50, f.P99, f.P999 = quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 0.999)
	return f, nil
}

// quantile returns the latency that a share q of all are not above, in the middle
// of its bucket.
func quantile(counts []uint32, q float64) time.Duration {
	n := 0
	for _, c := range counts {
		n += int(c)
	}
	left := int(q * float64(n))
	for i, c := range counts {
		if left -= int(c); left < 0 {
			shift := max(i/C.HALF-1, 0)
			low := uint64(i-shift*C.HALF) << shift
			return time.Duration(low + (1<<shift)/2)
		}
	}
	return 0
}
