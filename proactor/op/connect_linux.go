package op

import "golang.org/x/sys/unix"

// EINPROGRESS as the result of a connect attempt means: wait for writability,
// then ask ConnectResult.
const EINPROGRESS = -int32(unix.EINPROGRESS)

// ConnectResult is what a connect in progress came to, once the socket is
// writable: 0, a negative errno, or EAGAIN if it is still in progress (a
// wake-up that wasn't meant for it).
func ConnectResult(o *Op) int32 {
	fd := int(o.req.Handle.s.FD)
	e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return -int32(err.(unix.Errno))
	}
	if e != 0 {
		return -int32(e)
	}
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, _ := unix.Poll(p[:], 0); n == 0 {
		return EAGAIN
	}
	return 0
}
