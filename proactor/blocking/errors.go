package blocking

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// systemCall gives an error the name of the system call that package net would have
// made: on a ring it was another.
func systemCall(name string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return os.NewSyscallError(name, e)
	}
	return err
}

// pathError dresses a file's error up as package os does.
func pathError(what, name string, err error) error {
	var e syscall.Errno
	switch {
	case errors.As(err, &e):
		err = e
	case errors.Is(err, net.ErrClosed):
		err = os.ErrClosed
	}
	return &fs.PathError{Op: what, Path: name, Err: err}
}

// dialError dresses the error of a dial up as package net does.
func dialError(ctx context.Context, network, address string, from net.Addr, err error) error {
	var at interface{ Address() string }
	if errors.As(err, &at) {
		address, err = at.Address(), errors.Unwrap(at.(error))
	}
	for inner := at; errors.As(err, &inner); { // one of several addresses
		address, err = inner.Address(), errors.Unwrap(inner.(error))
	}
	switch {
	case ctx.Err() == context.DeadlineExceeded, errors.Is(err, os.ErrDeadlineExceeded):
		err = errTimeout{}
	case ctx.Err() != nil:
		err = canceledError{}
	default:
		err = systemCall("connect", err)
	}
	return &net.OpError{Op: "dial", Net: network, Source: from, Addr: addrOf(network, address), Err: err}
}

// addrOf returns an address that needs no lookup; nil if it does, or if the network is
// unknown.
func addrOf(network, address string) net.Addr {
	switch network {
	default:
		return nil
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	case "unix", "unixgram", "unixpacket":
		return &net.UnixAddr{Net: network, Name: address}
	}
	ap, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
	case strings.HasPrefix(network, "udp"):
		return net.UDPAddrFromAddrPort(ap)
	default:
		return net.TCPAddrFromAddrPort(ap)
	}
	return nil
}

// errTimeout is the end of a dial whose time is over. It is both what package context
// and what package os calls so.
type errTimeout struct{}

func (errTimeout) Error() string   { return "i/o timeout" }
func (errTimeout) Timeout() bool   { return true }
func (errTimeout) Temporary() bool { return true }
func (errTimeout) Is(err error) bool {
	return err == context.DeadlineExceeded || err == os.ErrDeadlineExceeded
}

// canceledError is the end of a dial whose context was cancelled.
type canceledError struct{}

func (canceledError) Error() string     { return "operation was canceled" }
func (canceledError) Is(err error) bool { return err == context.Canceled }
