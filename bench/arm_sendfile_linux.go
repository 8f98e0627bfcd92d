package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"golang.org/x/sys/unix"
)

// fileSize is how large the file is that servers send: a load's Size.
const fileSize = 1 << 20

// fileContents are the bytes of the file.
func fileContents(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + i>>8*17 + i>>16*7)
	}
	return b
}

// servedFile makes the file, which is in the page cache then and has no name.
func servedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "bench")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	_, err = f.Write(fileContents(fileSize))
	return f, err
}

// sendfileArms answer each byte with the file.
var sendfileArms = map[string]serve{
	"net":      serveNetFile,
	"io_uring": proactorFile("io_uring"),
	"epoll":    proactorFile("epoll"),
}

// serveNetFile is a goroutine for each connection, and io.Copy, which is sendfile(2).
func serveNetFile() (net.Addr, error) {
	f, err := servedFile()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			fatal(err)
			go sendNetFile(c.(*net.TCPConn), f)
		}
	}()
	return ln.Addr(), nil
}

func sendNetFile(c *net.TCPConn, shared *os.File) {
	defer c.Close()
	f, err := os.Open(fmt.Sprint("/proc/self/fd/", shared.Fd())) // with an offset of its own
	fatal(err)
	defer f.Close()
	var request [1]byte
	for {
		if _, err := c.Read(request[:]); err != nil {
			return
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			fatal(err)
		}
		if _, err := io.Copy(c, f); err != nil {
			return
		}
	}
}

// proactorFile sends with Op.SendFile.
func proactorFile(engine string) serve {
	var file *proactor.File
	return proactorArm(engine, func(l *proactor.Loop, c *proactor.Conn) {
		if file == nil {
			f, err := servedFile()
			fatal(err)
			fd, err := unix.Dup(int(f.Fd()))
			fatal(err)
			file, err = l.NewFile(fd, f.Name())
			fatal(errors.Join(err, f.Close()))
		}
		s := &fileSession{loop: l, conn: c, file: file}
		s.rd.Done, s.wr.Done = s.received, s.sent
		s.sent(&s.wr)
	})
}

type fileSession struct {
	loop    *proactor.Loop
	conn    *proactor.Conn
	file    *proactor.File
	rd, wr  proactor.Op
	request [1]byte
}

func (s *fileSession) received(o *proactor.Op) {
	if _, err := o.Result(); err != nil {
		_ = s.conn.Close(nil)
		return
	}
	if _, err := s.loop.Submit(s.wr.SendFile(s.conn, s.file, 0, op.ToTheEnd)); err != nil {
		_ = s.conn.Close(nil)
	}
}

func (s *fileSession) sent(*proactor.Op) {
	if _, err := s.loop.Submit(s.rd.Recv(s.conn, s.request[:])); err != nil {
		_ = s.conn.Close(nil)
	}
}
