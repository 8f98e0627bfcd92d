package proactor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// Open, read and close are one submission: what the open fails with ends the rest, and
// the file is closed whatever the read comes to.
func ExampleLoop_Chain() {
	dir, _ := os.MkdirTemp("", "chain")
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "greeting")
	_ = os.WriteFile(name, []byte("hello"), 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	var open, read, shut proactor.Op
	file, buf := new(proactor.Handle), make([]byte, 5)
	open.Done = func(*proactor.Op) {}
	read.Done = func(o *proactor.Op) {
		n, err := o.Result()
		fmt.Println(string(buf[:n]), err)
	}
	shut.Done = func(*proactor.Op) { _ = loop.Close() }
	_, err = loop.Chain(
		open.OpenInto(file, nil, name, os.O_RDONLY, 0),
		read.ReadAt(file, buf, 0).HardLink(),
		shut.Close(file, -1),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: hello <nil>
}

// A proxy in a few lines: what one connection receives goes to the other, in both
// directions, without a copy through the program.
func ExamplePipe() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()
	go func() {
		c, err := backend.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ln.AcceptEach(func(in *proactor.Conn, err error) {
		if err != nil {
			return
		}
		_, _ = loop.Dial("tcp", backend.Addr().String(), func(out *proactor.Conn, err error) {
			if err != nil {
				_ = in.Abort(nil)
				return
			}
			left := 2
			end := func(_ int64, err error) {
				if err != nil {
					_, _ = in.Abort(nil), out.Abort(nil)
				} else if left--; left == 0 {
					_, _ = in.Close(nil), out.Close(nil)
				}
			}
			_, _ = proactor.Pipe(out, in, end)
			_, _ = proactor.Pipe(in, out, end)
		})
	})
	ran := make(chan error)
	go func() { ran <- loop.Run(context.Background()) }()

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(c, "there and back")
	_ = c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	fmt.Println(string(answer), err)
	c.Close()
	_ = loop.Close()
	fmt.Println(<-ran)
	// Output:
	// there and back <nil>
	// <nil>
}
