package blocking_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
)

// net/http, server and client, over a loop.
func Example() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	ln, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello, ", r.URL.Path[1:])
	})}
	go server.Serve(ln)

	transport := &http.Transport{DialContext: n.Dial}
	client := &http.Client{Transport: transport}
	answer, err := client.Get("http://" + ln.Addr().String() + "/gopher")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	fmt.Println(string(body), err)
	transport.CloseIdleConnections()
	server.Close()
	// Output: hello, gopher <nil>
}

// An operation for which there is no other method, waited for with a limit.
func ExampleNet_Wait() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var o proactor.Op
	_, err = n.Wait(ctx, o.SymlinkAt("somewhere", nil, filepath.Join(dir, "link")))
	fmt.Println(err)
	to, err := os.Readlink(filepath.Join(dir, "link"))
	fmt.Println(to, err)
	// Output:
	// <nil>
	// somewhere <nil>
}

// A deadline ends a Read; the connection can be used further.
func ExampleConn_SetReadDeadline() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	c, err := n.Dial(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	fmt.Println(ok && timeout.Timeout())
	// Output: true
}

// A tree of files as a fs.FS.
func ExampleNet_DirFS() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	f, err := n.Create(filepath.Join(dir, "greeting"))
	if err != nil {
		fmt.Println(err)
		return
	}
	f.WriteString("hello")
	f.Close()
	b, err := fs.ReadFile(n.DirFS(dir), "greeting")
	fmt.Println(string(b), err)
	// Output: hello <nil>
}

// Blocking and callbacks on one loop, which somebody runs anyway.
func ExampleOn() {
	loop, err := proactor.New(proactor.WithNetpoller(true)) // goroutines wake sooner
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error)
	go func() { ran <- loop.Run(context.Background()) }()
	n := blocking.On(loop)

	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	got := make(chan string)
	_, _ = ln.Accept(func(c *proactor.Conn, err error) { // a callback
		if err != nil {
			return
		}
		go func() { // and a goroutine that waits
			conn := n.Conn(c)
			b, err := io.ReadAll(conn)
			conn.Close()
			got <- fmt.Sprint(string(b), " ", err)
		}()
	})
	c, err := n.Dial(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(c, "both ways")
	c.Close()
	fmt.Println(<-got)
	loop.Close()
	fmt.Println(<-ran)
	// Output:
	// both ways <nil>
	// <nil>
}

// A file is an io.ReadWriteSeeker, io.ReaderAt and io.WriterAt.
func ExampleNet_OpenFile() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	f, err := n.OpenFile(filepath.Join(dir, "notes"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Fprint(f, "first line\nsecond line\n")
	if err := f.Sync(); err != nil { // durable from here on
		fmt.Println(err)
		return
	}
	b := make([]byte, 6)
	_, err = f.ReadAt(b, 11)
	fmt.Println(string(b), err)
	_, _ = f.Seek(0, io.SeekStart)
	all, err := io.ReadAll(f)
	fmt.Println(len(all), err)
	// Output:
	// second <nil>
	// 23 <nil>
}

func ExampleNet_ListenPacket() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	server, err := n.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go func() {
		b := make([]byte, 1500)
		for {
			k, from, err := server.ReadFrom(b)
			if err != nil {
				return // net.ErrClosed
			}
			_, _ = server.WriteTo(b[:k], from)
		}
	}()
	c, err := n.Dial(context.Background(), "udp", server.LocalAddr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "anybody there?")
	b := make([]byte, 100)
	k, err := c.Read(b)
	fmt.Println(string(b[:k]), err)
	// Output: anybody there? <nil>
}

// A limit for the whole of a dial, as with package net; DialWith has further options.
func ExampleNet_DialWith() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	ln, err := n.ListenWith(&proactor.ListenConfig{Backlog: 16}, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d := &proactor.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := n.DialWith(ctx, d, "tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(c.LocalAddr().(*net.TCPAddr).IP)
	// Output: 127.0.0.2
}

// endOfProgram closes what lives as long as a program: this one has tests that look for
// what is left.
func endOfProgram() { _ = blocking.CloseDefault() }

// The functions of the package share one loop, which is made when it is first needed.
func ExampleDial() {
	defer endOfProgram()
	ln, err := blocking.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, "welcome")
		c.Close()
	}()
	c, err := blocking.Dial(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	fmt.Println(string(b), err)
	// Output: welcome <nil>
}

// A file by its name, as with package os.
func ExampleOpen() {
	defer endOfProgram()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	_, err = blocking.Open(filepath.Join(dir, "nothing"))
	fmt.Println(os.IsNotExist(err))
	// Output: true
}
