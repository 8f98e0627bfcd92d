package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setRoom asks for room for datagrams that wait; the kernel takes what it allows.
func setRoom(c syscall.RawConn, bytes int) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
	})
	if err == nil {
		err = failed
	}
	return err
}

// waiting is the length of the datagram that is next (man 7 udp, FIONREAD).
func waiting(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
