package main

import (
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aio is a context of Linux AIO (man 2 io_setup): requests go in and events come
// out in batches.
type aio struct {
	context uintptr
	batch   []iocb  // to be submitted; the kernel copies them
	list    []*iocb // of the batch, as io_submit wants it
	events  []ioEvent
}

// The types are of linux/aio_abi.h, the commands are its IOCB_CMD_*.
type iocb struct {
	data          uint64 // comes back in the event
	_             uint64 // the kernel's key, and flags
	command       uint16
	_             int16
	fd            uint32
	buf           uint64 // an address, or the events of a poll
	bytes, offset int64
	_             [2]uint64
}

type ioEvent struct {
	data      uint64
	_         uint64
	res, res2 int64 // bytes, or the events of a poll, or a negative errno
}

const (
	aioPRead = 0
	aioPoll  = 5 // Linux 4.18
)

// newAIO makes a context that takes depth requests. One more is EAGAIN.
func newAIO(depth int) (*aio, error) {
	a := &aio{events: make([]ioEvent, min(depth, 1024))}
	_, _, errno := syscall.Syscall(unix.SYS_IO_SETUP, uintptr(depth), uintptr(unsafe.Pointer(&a.context)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_setup", errno)
	}
	return a, nil
}

// submit submits the batch, with one system call if the kernel takes it whole.
func (a *aio) submit() error {
	a.list = a.list[:0]
	for i := range a.batch {
		a.list = append(a.list, &a.batch[i])
	}
	for rest := a.list; len(rest) > 0; {
		n, _, errno := syscall.Syscall(unix.SYS_IO_SUBMIT, a.context, uintptr(len(rest)), uintptr(unsafe.Pointer(&rest[0])))
		if errno != 0 {
			return os.NewSyscallError("io_submit", errno)
		}
		rest = rest[n:]
	}
	a.batch = a.batch[:0]
	return nil
}

// wait waits for an event and returns those that there are. They are valid until
// the next wait.
func (a *aio) wait() ([]ioEvent, error) {
	n, _, errno := syscall.Syscall6(unix.SYS_IO_GETEVENTS, a.context, 1, uintptr(len(a.events)), uintptr(unsafe.Pointer(&a.events[0])), 0, 0)
	switch errno {
	case 0:
		return a.events[:n], nil
	case unix.EINTR:
		return nil, nil
	}
	return nil, os.NewSyscallError("io_getevents", errno)
}

// close waits for the requests in flight.
func (a *aio) close() {
	_, _, _ = syscall.Syscall(unix.SYS_IO_DESTROY, a.context, 0, 0)
}

// aioPoller learns from Linux AIO which connections are ready: a poll is a
// request that ends with the first event, and is then made again.
type aioPoller struct {
	echoer
	*aio
	ln int
}

// aioPolls is how many connections an aioPoller can have: a quarter of what the
// system allows all programs together (fs.aio-max-nr).
const aioPolls = 16 << 10

func serveAIOPoll() (net.Addr, error) {
	ln, addr, err := listenTCP(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	p := &aioPoller{ln: ln}
	p.unsent = map[int][]byte{}
	if p.aio, err = newAIO(aioPolls); err != nil {
		return nil, err
	}
	p.arm(ln, unix.POLLIN)
	go func() { fatal(p.run()) }()
	return addr, nil
}

func (p *aioPoller) run() error {
	for {
		if err := p.submit(); err != nil {
			return err
		}
		events, err := p.wait()
		if err != nil {
			return err
		}
		for _, ev := range events {
			if err := p.serve(int(ev.data), ev.res); err != nil {
				return err
			}
		}
	}
}

func (p *aioPoller) arm(fd int, events uint64) {
	p.batch = append(p.batch, iocb{data: uint64(fd), command: aioPoll, fd: uint32(fd), buf: events})
}

func (p *aioPoller) serve(fd int, res int64) error {
	if res < 0 {
		return os.NewSyscallError("poll by Linux AIO", syscall.Errno(-res))
	}
	if fd == p.ln {
		p.arm(fd, unix.POLLIN)
		return acceptEach(fd, unix.SOCK_NONBLOCK, p.add)
	}
	switch p.step(fd) {
	case closed:
	case blocked:
		p.arm(fd, unix.POLLOUT)
	default:
		p.arm(fd, unix.POLLIN)
	}
	return nil
}

func (p *aioPoller) add(fd int) error {
	p.arm(fd, unix.POLLIN)
	return nil
}
