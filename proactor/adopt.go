package proactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// AdoptConn takes a connection over from package net: a *net.TCPConn, or a
// *net.UnixConn that isn't of network "unixgram". The Conn owns the socket then,
// and c is closed without the peer noticing: a Read or Write of c that is under way
// ends with net.ErrClosed. On an error c is untouched. Any goroutine may call it.
func (l *Loop) AdoptConn(c net.Conn) (*Conn, error) {
	n, err := l.adoptConn(c)
	if err != nil {
		return nil, fmt.Errorf("proactor: adopt %T: %w", c, err)
	}
	_ = c.Close()
	return n, nil
}

func (l *Loop) adoptConn(c net.Conn) (*Conn, error) {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default: // it may have data of its own, as TLS has
		return nil, errors.ErrUnsupported
	}
	fd, err := duplicate(c.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	n, err := l.NewConn(fd)
	if err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	if n.State().Kind == op.Packet {
		_ = n.Abort(nil)
		return nil, errors.ErrUnsupported
	}
	return n, nil
}

// AdoptListener takes a listener over from package net: a *net.TCPListener or a
// *net.UnixListener. The Listener owns the socket then, with the connections that
// wait in it, and ln is closed. The file of a unix socket stays, and is removed by
// the Listener's Close, whatever SetUnlinkOnClose said. TCP has TCP_NODELAY on what
// it accepts, but for connections that had come before. On an error ln is
// untouched. Any goroutine may call it.
func (l *Loop) AdoptListener(ln net.Listener) (*Listener, error) {
	n, err := l.adoptListener(ln)
	if err != nil {
		return nil, fmt.Errorf("proactor: adopt %T: %w", ln, err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	_ = ln.Close()
	return n, nil
}

func (l *Loop) adoptListener(ln net.Listener) (*Listener, error) {
	switch ln.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return nil, errors.ErrUnsupported
	}
	fd, err := duplicate(ln.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	n := &Listener{loop: l, addr: ln.Addr()}
	if err := l.adopt(&n.handle, fd, unknownFlags); err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	setNoDelay(fd) // accepted sockets inherit it; package net sets it on each
	return n, nil
}

// AdoptFile makes an open file that has offsets a File of the loop: a regular file,
// a block device, or a directory for OpenAt. The File has a descriptor of its own,
// so f stays the caller's, to be used and closed at any time. For pipes, terminals
// and sockets there is AdoptStream. Any goroutine may call it.
func (l *Loop) AdoptFile(f *os.File) (*File, error) {
	fd, err := duplicateFile(f)
	if err != nil {
		return nil, fmt.Errorf("proactor: adopt file %s: %w", f.Name(), err)
	}
	n, err := l.NewFile(fd, f.Name())
	if err != nil {
		op.CloseFD(fd)
		return nil, err
	}
	return n, nil
}

// AdoptStream makes a pipe, a FIFO, a terminal, or a stream socket that comes as a
// file, a Conn of the loop: standard input and output, for example. The Conn has a
// descriptor of its own, so f stays the caller's, to be used and closed at any
// time; what is read through one is not seen by the other. Any goroutine may call
// it.
//
// A loop needs O_NONBLOCK, which belongs to the open file description: whoever has
// inherited it, such as the shell that started the program, would have it set, too.
// So the file is opened anew (through /proc/self/fd), in its access mode, and the
// shared description stays as it is. Where that can't be, AdoptStream duplicates a
// description that has O_NONBLOCK already, and refuses another: make it
// non-blocking first, if nobody else has it. Of character devices only terminals,
// and /dev/null and the like, are opened anew: others, and the master side of a
// pseudo-terminal, would be another device then. Sockets can be shared as they are.
//
// The reader of a pipe sees the end when all its writers are closed: both the Conn
// and f, if that is the writing end. The verbs are those that streams have: Recv,
// RecvEach, Send and so on; the addresses are nil, and CloseWrite is an error on
// what is no socket.
func (l *Loop) AdoptStream(f *os.File) (*Conn, error) {
	fd, kind, err := duplicateStream(f)
	if err != nil {
		return nil, fmt.Errorf("proactor: adopt stream %s: %w", f.Name(), err)
	}
	return l.newConnOf(fd, kind, kind.IsSocket() && isUnix(fd))
}

// NetConn hands the connection to package net: receives end with ErrClosed, queued
// sends are flushed, and done gets the socket as a *net.TCPConn or *net.UnixConn,
// which is the caller's; this Conn is closed then. Nothing received is lost: what
// came before the end has its callbacks before that. If it fails the connection is
// closed. It returns ErrClosed if the connection is already closing, and
// errors.ErrUnsupported if it is no socket.
func (c *Conn) NetConn(done func(net.Conn, error)) error {
	if done == nil {
		panic("proactor: NetConn without a callback")
	}
	if !c.State().Kind.IsSocket() {
		return errors.ErrUnsupported
	}
	o := &op.Op{Done: func(o *op.Op) {
		fd, err := o.Result()
		if err != nil {
			done(nil, err)
			return
		}
		f := os.NewFile(uintptr(fd), "socket")
		n, err := net.FileConn(f) // a duplicate
		_ = f.Close()
		done(n, err)
	}}
	_, err := c.loop.Submit(o.Detach(c))
	return err
}
