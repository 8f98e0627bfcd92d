package main

import (
	"net"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// serveThreads is a thread of the system for each connection, which waits in
// blocking system calls.
func serveThreads() (net.Addr, error) {
	debug.SetMaxThreads(100_000) // Go ends a program with more than 10,000
	ln, addr, err := listenTCP(0)
	if err != nil {
		return nil, err
	}
	go func() {
		fatal(acceptEach(ln, 0, func(fd int) error {
			go echoBlocking(fd)
			return nil
		}))
	}()
	return addr, nil
}

func echoBlocking(fd int) {
	runtime.LockOSThread() // never unlocked: the thread ends with the connection
	defer unix.Close(fd)
	buf := make([]byte, bufferSize)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || !writeAll(fd, buf[:n]) {
			return
		}
	}
}

// writeAll reports whether it wrote b: a signal may end a write part-way, though
// the socket is a blocking one.
func writeAll(fd int, b []byte) bool {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return false
		}
		b = b[max(n, 0):]
	}
	return true
}
