package proactor_test

import (
	"context"
	"fmt"
	"net"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// Both ends of a pair of sockets as connections of the loop.
func ExampleLoop_NewConn() {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	one, err := loop.NewConn(fds[0]) // the loop's from here on
	if err != nil {
		fmt.Println(err)
		return
	}
	two, err := loop.NewConn(fds[1])
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 100)
	_, _ = two.Recv(buf, func(n int, err error) {
		fmt.Println(string(buf[:n]), err)
		_ = loop.Close() // closes both
	})
	_, _ = one.Send([]byte("to the other end"), nil)
	_ = loop.Run(context.Background())
	// Output: to the other end <nil>
}

// A file without a name: memory that other processes can be given.
func ExampleLoop_NewFile() {
	fd, err := unix.MemfdCreate("shared", unix.MFD_CLOEXEC)
	if err != nil {
		fmt.Println(err)
		return
	}
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := loop.NewFile(fd, "shared") // the loop's from here on
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = f.WriteAt([]byte("text"), 4096, func(int, error) {
		fmt.Println(f.Size())
		_ = loop.Close() // closes the descriptor, too
	})
	_ = loop.Run(context.Background())
	// Output: 4100 <nil>
}

// A pair of unix sockets that keeps the bounds of messages, empty ones too.
func ExampleLoop_NewPacketConn() {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	one, err := loop.NewPacketConn(fds[0]) // the loop's from here on
	if err != nil {
		fmt.Println(err)
		return
	}
	two, err := loop.NewPacketConn(fds[1])
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"one", "", "three"} {
		_, _ = one.Send([]byte(text), nil)
	}
	_ = two.RecvEach(func(b *proactor.Buffer, err error) {
		if err != nil {
			return
		}
		fmt.Printf("%q\n", b.Bytes())
		last := string(b.Bytes()) == "three"
		b.Release()
		if last {
			_ = loop.Close()
		}
	})
	_ = loop.Run(context.Background())
	// Output:
	// "one"
	// ""
	// "three"
}

// Connections that an operation of one's own accepts.
func ExampleListener_NewConn() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	accept := proactor.Op{Done: func(o *proactor.Op) {
		fd, err := o.Result()
		if err != nil {
			return
		}
		c, err := ln.NewConn(fd)
		if err != nil {
			return
		}
		_, _ = c.Send([]byte("welcome"), nil)
		_ = c.Close(nil)
	}}
	if _, err := loop.Submit(accept.Accept(ln)); err != nil {
		fmt.Println(err)
		return
	}
	go run(loop)

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(readAll(c))
	// Output: welcome <nil>
}

// A system call of one's own on a descriptor that nobody closes meanwhile.
func ExampleLoop_Use() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := loop.Use(ln.State()); err != nil { // net.ErrClosed
		fmt.Println(err)
		return
	}
	fmt.Println(unix.GetsockoptInt(ln.FD(), unix.SOL_SOCKET, unix.SO_ACCEPTCONN))
	loop.Unuse(ln.State())
	// Output: 1 <nil>
}
