package blocking_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
)

// A server with a goroutine for each connection, as with package net.
func ExampleListen() {
	defer endOfProgram()
	ln, err := blocking.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // net.ErrClosed
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	b := make([]byte, 5)
	_, err = io.ReadFull(c, b)
	fmt.Println(string(b), err)
	// Output: hello <nil>
}

func ExampleListenPacket() {
	defer endOfProgram()
	c, err := blocking.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, _ = c.WriteTo([]byte("to myself"), c.LocalAddr())
	b := make([]byte, 1500)
	n, from, err := c.ReadFrom(b)
	fmt.Println(string(b[:n]), from.String() == c.LocalAddr().String(), err)
	// Output: to myself true <nil>
}

// A new file, and the one that there is, at its end.
func ExampleCreate() {
	defer endOfProgram()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "log")
	f, err := blocking.Create(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = f.WriteString("first\n")
	_ = f.Close()
	f, err = blocking.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = f.WriteString("second\n")
	fmt.Println(f.Close())
	b, err := os.ReadFile(name)
	fmt.Printf("%q %v\n", b, err)
	// Output:
	// <nil>
	// "first\nsecond\n" <nil>
}

// A tree of files for whoever takes a fs.FS, http.FileServerFS for example.
func ExampleDirFS() {
	defer endOfProgram()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	_ = os.Mkdir(filepath.Join(dir, "sub"), 0o700)
	_ = os.WriteFile(filepath.Join(dir, "sub", "page"), nil, 0o600)
	err = fs.WalkDir(blocking.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		fmt.Println(path, d.IsDir())
		return err
	})
	fmt.Println(err)
	// Output:
	// . true
	// sub true
	// sub/page false
	// <nil>
}

// The Net behind the functions of the package has all the methods of a Net.
func ExampleDefault() {
	defer endOfProgram()
	n, err := blocking.Default()
	if err != nil { // no loop can be had: of New
		fmt.Println(err)
		return
	}
	i, err := n.Stat("/dev/null")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(i.Name(), i.Mode().IsRegular())
	// Output: null false
}
