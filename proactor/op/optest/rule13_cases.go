//go:build linux

package optest

import (
	"io"
	"os"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var socketCases = []same{
	{"recv on an unconnected socket", func(s *same13) *op.Op { return s.o.Recv(s.tcp(), s.buf()) }, 0, syscall.ENOTCONN},
	{"recvv on an unconnected socket", func(s *same13) *op.Op { return s.o.Recvv(s.tcp(), [][]byte{s.buf()}) }, 0, syscall.ENOTCONN},
	{"send on an unconnected socket", func(s *same13) *op.Op { return s.o.Send(s.tcp(), s.buf()) }, 0, syscall.EPIPE},
	{"recv on a listening socket", func(s *same13) *op.Op { return s.o.Recv(s.listener(), s.buf()) }, 0, syscall.ENOTCONN},
	{"send on a listening socket", func(s *same13) *op.Op { return s.o.Send(s.listener(), s.buf()) }, 0, syscall.EPIPE},
	{"accept on a socket that doesn't listen", func(s *same13) *op.Op { return s.o.Accept(s.tcp()) }, 0, syscall.EINVAL},
	{"accept on a connection", func(s *same13) *op.Op { return s.o.Accept(s.connected()) }, 0, syscall.EINVAL},
	{"recv from a peer that closed", func(s *same13) *op.Op { return s.o.Recv(s.left(unix.SOCK_STREAM, ""), s.buf()) }, 0, io.EOF},
	{"recvv from a peer that closed", func(s *same13) *op.Op {
		return s.o.Recvv(s.left(unix.SOCK_STREAM, ""), [][]byte{s.buf()})
	}, 0, io.EOF},
	{"recv of what a peer left", func(s *same13) *op.Op { return s.o.Recv(s.left(unix.SOCK_STREAM, "abc"), s.buf()) }, 3, nil},
	{"recv of a part of it", func(s *same13) *op.Op {
		return s.o.Recv(s.left(unix.SOCK_STREAM, "abc"), make([]byte, 2))
	}, 2, nil},
	{"recv into nothing", func(s *same13) *op.Op { return s.o.Recv(s.left(unix.SOCK_STREAM, "abc"), nil) }, 0, nil},
	{"send to a peer that closed", func(s *same13) *op.Op { return s.o.Send(s.left(unix.SOCK_STREAM, ""), s.buf()) }, 0, syscall.EPIPE},
	{"sendv to a peer that closed", func(s *same13) *op.Op {
		return s.o.Sendv(s.left(unix.SOCK_STREAM, ""), [][]byte{s.buf()})
	}, 0, syscall.EPIPE},
	{"send of nothing", func(s *same13) *op.Op { return s.o.Send(s.connected(), nil) }, 0, nil},
	{"send", func(s *same13) *op.Op { return s.o.Send(s.connected(), s.buf()) }, 8, nil},
	{"sendv", func(s *same13) *op.Op { return s.o.Sendv(s.connected(), [][]byte{s.buf(), nil, s.buf()}) }, 16, nil},
	{"send after shutdown", func(s *same13) *op.Op { return s.o.Send(s.shut(unix.SHUT_WR), s.buf()) }, 0, syscall.EPIPE},
	{"recv after shutdown", func(s *same13) *op.Op { return s.o.Recv(s.shut(unix.SHUT_RD), s.buf()) }, 0, io.EOF},
	{"shutdown", func(s *same13) *op.Op { return s.o.Shutdown(s.connected(), unix.SHUT_WR) }, 0, nil},
	{"shutdown of an unconnected socket", func(s *same13) *op.Op { return s.o.Shutdown(s.tcp(), unix.SHUT_WR) }, 0, syscall.ENOTCONN},
	{"shutdown in no known way", func(s *same13) *op.Op { return s.o.Shutdown(s.connected(), 7) }, 0, syscall.EINVAL},
	{"connect that is refused", func(s *same13) *op.Op { return s.o.Connect(s.tcp(), s.nobody()) }, 0, syscall.ECONNREFUSED},
	{"connect to a path that isn't there", func(s *same13) *op.Op { return s.o.Connect(s.unixSocket(), s.missing()) }, 0, syscall.ENOENT},
	{"connect of another family", func(s *same13) *op.Op { return s.o.Connect(s.unixSocket(), s.nobody()) }, 0, syscall.EINVAL},
	{"connect", func(s *same13) *op.Op {
		_, sa := s.listening(1)
		return s.o.Connect(s.tcp(), sa)
	}, 0, nil},
	{"connect twice", func(s *same13) *op.Op { return s.o.Connect(s.connected(), s.nobody()) }, 0, syscall.EISCONN},
	{"connect of a listener", func(s *same13) *op.Op { return s.o.Connect(s.listener(), s.nobody()) }, 0, syscall.EISCONN},
	{"readat on a socket", func(s *same13) *op.Op { return s.o.ReadAt(s.left(unix.SOCK_STREAM, "abc"), s.buf(), 0) }, 0, syscall.ESPIPE},
	{"writeat on a socket", func(s *same13) *op.Op { return s.o.WriteAt(s.connected(), s.buf(), 0) }, 0, syscall.ESPIPE},
	{"fsync of a socket", func(s *same13) *op.Op { return s.o.Fsync(s.connected()) }, 0, syscall.EINVAL},
	{"fdatasync of a socket", func(s *same13) *op.Op { return s.o.Fdatasync(s.connected()) }, 0, syscall.EINVAL},
}

var fileCases = []same{
	{"readat", func(s *same13) *op.Op { return s.o.ReadAt(s.open(unix.O_RDONLY, "0123456789"), s.buf(), 1) }, 8, nil},
	{"readat across the end", func(s *same13) *op.Op { return s.o.ReadAt(s.open(unix.O_RDONLY, "012345"), s.buf(), 1) }, 5, io.EOF},
	{"readat at the end", func(s *same13) *op.Op { return s.o.ReadAt(s.open(unix.O_RDONLY, "012345"), s.buf(), 6) }, 0, io.EOF},
	{"readat beyond the end", func(s *same13) *op.Op { return s.o.ReadAt(s.open(unix.O_RDONLY, "012345"), s.buf(), 1<<40) }, 0, io.EOF},
	{"readat of nothing", func(s *same13) *op.Op { return s.o.ReadAt(s.open(unix.O_RDONLY, ""), nil, 0) }, 0, nil},
	{"readvat", func(s *same13) *op.Op {
		return s.o.ReadvAt(s.open(unix.O_RDONLY, "0123456789"), [][]byte{s.buf(), nil, s.buf()}, 0)
	}, 10, io.EOF},
	{"readat on a write-only file", func(s *same13) *op.Op { return s.o.ReadAt(s.open(unix.O_WRONLY, "x"), s.buf(), 0) }, 0, syscall.EBADF},
	{"writeat on a read-only file", func(s *same13) *op.Op { return s.o.WriteAt(s.open(unix.O_RDONLY, "x"), s.buf(), 0) }, 0, syscall.EBADF},
	{"writeat", func(s *same13) *op.Op { return s.o.WriteAt(s.open(unix.O_RDWR, ""), s.buf(), 100) }, 8, nil},
	{"writevat", func(s *same13) *op.Op {
		return s.o.WritevAt(s.open(unix.O_RDWR, ""), [][]byte{s.buf(), s.buf()}, 0)
	}, 16, nil},
	{"readat on a directory", func(s *same13) *op.Op { return s.o.ReadAt(s.dir(), s.buf(), 0) }, 0, syscall.EISDIR},
	{"fsync", func(s *same13) *op.Op { return s.o.Fsync(s.open(unix.O_RDWR, "x")) }, 0, nil},
	{"fdatasync", func(s *same13) *op.Op { return s.o.Fdatasync(s.open(unix.O_RDWR, "x")) }, 0, nil},
	{"fsync of a directory", func(s *same13) *op.Op { return s.o.Fsync(s.dir()) }, 0, nil},
	{"openat of nothing", func(s *same13) *op.Op { return s.o.OpenAt(s.dir(), "none", unix.O_RDONLY, 0) }, 0, syscall.ENOENT},
	{"openat of what exists", func(s *same13) *op.Op {
		_, path := s.file(nil)
		return s.o.OpenAt(nil, path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	}, 0, syscall.EEXIST},
	{"openat of a directory to write", func(s *same13) *op.Op { return s.o.OpenAt(s.dir(), ".", unix.O_RDWR, 0) }, 0, syscall.EISDIR},
	{"openat below a file", func(s *same13) *op.Op {
		_, path := s.file(nil)
		return s.o.OpenAt(nil, path+"/x", unix.O_RDONLY, 0)
	}, 0, syscall.ENOTDIR},
	{"openat relative to a file", func(s *same13) *op.Op {
		return s.o.OpenAt(s.open(unix.O_RDONLY, ""), "x", unix.O_RDONLY, 0)
	}, 0, syscall.ENOTDIR},
	{"accept on a file", func(s *same13) *op.Op { return s.o.Accept(s.open(unix.O_RDONLY, "")) }, 0, syscall.ENOTSOCK},
	{"shutdown of a file", func(s *same13) *op.Op { return s.o.Shutdown(s.open(unix.O_RDONLY, ""), 0) }, 0, syscall.ENOTSOCK},
	{"connect of a file", func(s *same13) *op.Op { return s.o.Connect(s.open(unix.O_RDONLY, ""), s.nobody()) }, 0, syscall.ENOTSOCK},
	{"recv on a file", func(s *same13) *op.Op { return s.o.Recv(s.open(unix.O_RDONLY, "abc"), s.buf()) }, 3, nil},
	{"recvv on a file", func(s *same13) *op.Op {
		return s.o.Recvv(s.open(unix.O_RDONLY, "abc"), [][]byte{make([]byte, 1), make([]byte, 1)})
	}, 2, nil},
	{"recv at the end of a file", func(s *same13) *op.Op { return s.o.Recv(s.open(unix.O_RDONLY, ""), s.buf()) }, 0, io.EOF},
	{"send to a file", func(s *same13) *op.Op { return s.o.Send(s.open(unix.O_RDWR, ""), s.buf()) }, 8, nil},
	{"sendv to a file", func(s *same13) *op.Op {
		return s.o.Sendv(s.open(unix.O_RDWR|unix.O_APPEND, "x"), [][]byte{s.buf(), s.buf()})
	}, 16, nil},
	{"send to a read-only file", func(s *same13) *op.Op { return s.o.Send(s.open(unix.O_RDONLY, ""), s.buf()) }, 0, syscall.EBADF},
}

func (s *same13) dir() *op.Handle {
	s.Helper()
	return s.register(unix.Open(s.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
}

var streamCases = []same{
	{"recv from a pipe", func(s *same13) *op.Op { return s.o.Recv(s.fed("abc"), s.buf()) }, 3, nil},
	{"recvv from a pipe", func(s *same13) *op.Op { return s.o.Recvv(s.fed("abc"), [][]byte{s.buf()}) }, 3, nil},
	{"recv from a pipe without writer", func(s *same13) *op.Op { return s.o.Recv(s.fed(""), s.buf()) }, 0, io.EOF},
	{"recv past its deadline", func(s *same13) *op.Op {
		h, w := s.pipe(false)
		s.Cleanup(func() { unix.Close(w) })
		return s.o.Recv(h, s.buf()).SetTimeout(time.Millisecond)
	}, 0, os.ErrDeadlineExceeded},
	{"send to a pipe", func(s *same13) *op.Op {
		h, r := s.pipe(true)
		s.Cleanup(func() { unix.Close(r) })
		return s.o.Send(h, s.buf())
	}, 8, nil},
	{"send to a pipe that is full", func(s *same13) *op.Op {
		h, r := s.pipe(true)
		s.Cleanup(func() { unix.Close(r) })
		size, err := unix.FcntlInt(uintptr(r), unix.F_SETPIPE_SZ, 4096)
		require.NoError(s, err)
		_, err = unix.Write(h.FD(), make([]byte, size))
		require.NoError(s, err)
		return s.o.Send(h, s.buf()).SetTimeout(time.Millisecond)
	}, 0, os.ErrDeadlineExceeded},
	{"send to a pipe without reader", func(s *same13) *op.Op { return s.o.Send(s.orphan(), s.buf()) }, 0, syscall.EPIPE},
	{"recv at the wrong end", func(s *same13) *op.Op { return s.o.Recv(s.orphan(), s.buf()) }, 0, syscall.EBADF},
	{"send at the wrong end", func(s *same13) *op.Op { return s.o.Send(s.fed(""), s.buf()) }, 0, syscall.EBADF},
	{"readat on a pipe", func(s *same13) *op.Op { return s.o.ReadAt(s.fed("abc"), s.buf(), 0) }, 0, syscall.ESPIPE},
	{"fsync of a pipe", func(s *same13) *op.Op { return s.o.Fsync(s.fed("")) }, 0, syscall.EINVAL},
	{"shutdown of a pipe", func(s *same13) *op.Op { return s.o.Shutdown(s.fed(""), 0) }, 0, syscall.ENOTSOCK},
	{"recv from /dev/zero", func(s *same13) *op.Op { return s.o.Recv(s.device("/dev/zero"), s.buf()) }, 8, nil},
	{"send to /dev/zero", func(s *same13) *op.Op { return s.o.Send(s.device("/dev/zero"), s.buf()) }, 8, nil},
	{"recv from /dev/null", func(s *same13) *op.Op { return s.o.Recv(s.device("/dev/null"), s.buf()) }, 0, io.EOF},
	{"send to /dev/null", func(s *same13) *op.Op { return s.o.Send(s.device("/dev/null"), s.buf()) }, 8, nil},
	{"sendv to /dev/full", func(s *same13) *op.Op {
		return s.o.Sendv(s.device("/dev/full"), [][]byte{s.buf()})
	}, 0, syscall.ENOSPC},
	{"readat on /dev/zero", func(s *same13) *op.Op { return s.o.ReadAt(s.device("/dev/zero"), s.buf(), 4) }, 8, nil},
}

const all3 = unix.POLLIN | unix.POLLOUT | unix.POLLPRI

var pollCases = []same{
	{"poll for input that is there", func(s *same13) *op.Op {
		h, w := s.rawPair(unix.SOCK_STREAM)
		unix.Write(w, []byte("x"))
		return s.o.Poll(h, unix.POLLIN)
	}, unix.POLLIN, nil},
	{"poll for everything", func(s *same13) *op.Op {
		h, w := s.rawPair(unix.SOCK_STREAM)
		unix.Write(w, []byte("x"))
		return s.o.Poll(h, all3)
	}, unix.POLLIN | unix.POLLOUT, nil},
	{"poll for output", func(s *same13) *op.Op { return s.o.Poll(s.connected(), unix.POLLOUT) }, unix.POLLOUT, nil},
	{"poll for input that doesn't come", func(s *same13) *op.Op {
		return s.o.Poll(s.connected(), unix.POLLIN).SetTimeout(time.Millisecond)
	}, 0, os.ErrDeadlineExceeded},
	{"poll for the end of a peer", func(s *same13) *op.Op {
		return s.o.Poll(s.left(unix.SOCK_STREAM, ""), unix.POLLIN|unix.POLLRDHUP)
	}, unix.POLLIN | unix.POLLHUP | unix.POLLRDHUP, nil},
	{"poll for nothing of a peer that closed", func(s *same13) *op.Op { return s.o.Poll(s.left(unix.SOCK_STREAM, ""), 0) }, unix.POLLHUP | unix.POLLRDHUP, nil},
	{"poll for urgent data of a peer that has sent its last", func(s *same13) *op.Op {
		h, peer := s.rawPair(unix.SOCK_STREAM)
		require.NoError(s, unix.Shutdown(peer, unix.SHUT_WR))
		return s.o.Poll(h, unix.POLLPRI)
	}, unix.POLLRDHUP, nil},
	{"poll of a pipe", func(s *same13) *op.Op { return s.o.Poll(s.fed("x"), unix.POLLIN) }, unix.POLLIN | unix.POLLHUP, nil},
	{"poll of a pipe without writer", func(s *same13) *op.Op { return s.o.Poll(s.fed(""), unix.POLLIN) }, unix.POLLHUP, nil},
	{"poll of a pipe without reader", func(s *same13) *op.Op { return s.o.Poll(s.orphan(), unix.POLLOUT) }, unix.POLLOUT | unix.POLLERR, nil},
	{"poll of a listener", func(s *same13) *op.Op {
		h, sa := s.listening(1)
		s.dial(sa)
		return s.o.Poll(h, unix.POLLIN)
	}, unix.POLLIN, nil},
	{"poll of an unconnected socket", func(s *same13) *op.Op { return s.o.Poll(s.tcp(), unix.POLLIN|unix.POLLOUT) }, unix.POLLOUT | unix.POLLHUP, nil},
	{"poll of a file", func(s *same13) *op.Op { return s.o.Poll(s.open(unix.O_RDWR, "x"), unix.POLLIN) }, unix.POLLIN, nil},
	{"poll of /dev/null", func(s *same13) *op.Op { return s.o.Poll(s.device("/dev/null"), unix.POLLOUT) }, unix.POLLOUT, nil},
}

var packetCases = []same{
	{"recv of a datagram", func(s *same13) *op.Op { return s.o.Recv(s.sent(unix.SOCK_DGRAM, "abc", "de"), s.buf()) }, 3, nil},
	{"recv of a part of a datagram", func(s *same13) *op.Op {
		return s.o.Recv(s.sent(unix.SOCK_DGRAM, "abc", "de"), make([]byte, 2))
	}, 2, nil},
	{"recv of an empty datagram", func(s *same13) *op.Op { return s.o.Recv(s.sent(unix.SOCK_DGRAM, "", "x"), s.buf()) }, 0, nil},
	{"recvv of a datagram", func(s *same13) *op.Op {
		return s.o.Recvv(s.sent(unix.SOCK_DGRAM, "abc"), [][]byte{make([]byte, 1), s.buf()})
	}, 3, nil},
	{"recv of a packet", func(s *same13) *op.Op { return s.o.Recv(s.sent(unix.SOCK_SEQPACKET, "abc", "de"), s.buf()) }, 3, nil},
	{"recv of a packet from a peer that closed", func(s *same13) *op.Op { return s.o.Recv(s.left(unix.SOCK_SEQPACKET, "abc"), s.buf()) }, 3, nil},
	{"send of a datagram", func(s *same13) *op.Op { return s.o.Send(s.sent(unix.SOCK_DGRAM), s.buf()) }, 8, nil},
	{"send of an empty datagram", func(s *same13) *op.Op { return s.o.Send(s.sent(unix.SOCK_DGRAM), nil) }, 0, nil},
	{"sendv of a datagram", func(s *same13) *op.Op {
		return s.o.Sendv(s.sent(unix.SOCK_DGRAM), [][]byte{s.buf(), s.buf()})
	}, 16, nil},
	{"send of a packet", func(s *same13) *op.Op { return s.o.Send(s.sent(unix.SOCK_SEQPACKET), s.buf()) }, 8, nil},
	{"send of a datagram that is too long", func(s *same13) *op.Op { return s.o.Send(s.udp(), make([]byte, 1<<17)) }, 0, syscall.EMSGSIZE},
	{"send on a datagram socket without peer", func(s *same13) *op.Op { return s.o.Send(s.unconnectedUDP(), s.buf()) }, 0, syscall.EDESTADDRREQ},
	{"accept on a datagram socket", func(s *same13) *op.Op { return s.o.Accept(s.sent(unix.SOCK_DGRAM)) }, 0, syscall.EOPNOTSUPP},
	{"send to a packet peer that closed", func(s *same13) *op.Op { return s.o.Send(s.left(unix.SOCK_SEQPACKET, ""), s.buf()) }, 0, syscall.EPIPE},
}

var otherCases = []same{
	{"nop", func(s *same13) *op.Op { return s.o.Nop() }, 0, nil},
	{"timeout", func(s *same13) *op.Op { return s.o.Timeout(0) }, 0, nil},
	{"negative timeout", func(s *same13) *op.Op { return s.o.Timeout(-time.Hour) }, 0, nil},
	{"cancel of nothing", func(s *same13) *op.Op { return s.o.Cancel(op.Ticket{}) }, 0, op.ErrNotFound},
	{"close", func(s *same13) *op.Op { return s.o.Close(s.connected(), 0) }, 0, nil},
	{"close of a file", func(s *same13) *op.Op { return s.o.Close(s.open(unix.O_RDWR, ""), -1) }, 0, nil},
	{"abort", func(s *same13) *op.Op { return s.o.Abort(s.connected()) }, 0, nil},
	{"recv past its deadline", func(s *same13) *op.Op {
		return s.o.Recv(s.connected(), s.buf()).SetDeadline(time.Now().Add(-time.Hour))
	}, 0, os.ErrDeadlineExceeded},
	{"accept past its deadline", func(s *same13) *op.Op {
		return s.o.Accept(s.listener()).SetTimeout(time.Millisecond)
	}, 0, os.ErrDeadlineExceeded},
	{"connect past its deadline", func(s *same13) *op.Op {
		return s.o.Connect(s.tcp(), s.deafServer()).SetTimeout(time.Millisecond)
	}, 0, os.ErrDeadlineExceeded},
}
