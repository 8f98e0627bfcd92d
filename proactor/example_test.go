package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// A loop that echoes what it receives, and a client of package net.
func Example() {
	loop, err := proactor.New() // io_uring; epoll where that is missing or forbidden
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ln.AcceptEach(func(c *proactor.Conn, err error) { // one submission, many completions
		if err != nil {
			return // net.ErrClosed: the listener is closed
		}
		_ = c.RecvEach(func(b *proactor.Buffer, err error) {
			if err != nil { // io.EOF: the peer is done
				_ = c.Close(nil) // flushes what is still queued, then FIN
				return
			}
			_, _ = c.SendBuffer(b, nil) // b is the loop's until it is sent
		})
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ran := make(chan error)
	go func() { ran <- loop.Run(ctx) }()

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(c, "hello")
	answer := make([]byte, 5)
	_, err = io.ReadFull(c, answer)
	fmt.Println(string(answer), err)
	c.Close()
	cancel()
	fmt.Println(<-ran)
	// Output:
	// hello <nil>
	// context canceled
}

// run runs a loop until the test is over.
func run(loop *proactor.Loop) { _ = loop.Run(context.Background()) }

// An operation of one's own: embedded by value, its callback bound once.
func ExampleLoop_Submit() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	go run(loop)
	defer loop.Close()

	fired := make(chan error)
	var timer proactor.Op
	timer.Done = func(o *proactor.Op) {
		_, err := o.Result()
		fired <- err
	}
	if _, err := loop.Submit(timer.Timeout(time.Millisecond)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-fired)
	// Output: <nil>
}

// A cancel asks; the callback comes in any case.
func ExampleLoop_Cancel() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	go run(loop)
	defer loop.Close()

	ended := make(chan error)
	timer := proactor.Op{Done: func(o *proactor.Op) {
		_, err := o.Result()
		ended <- err
	}}
	ticket, err := loop.Submit(timer.Timeout(time.Hour))
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(loop.Cancel(ticket))
	fmt.Println(errors.Is(<-ended, proactor.ErrCanceled))
	fmt.Println(loop.Cancel(ticket)) // that submission is over
	// Output:
	// true
	// true
	// false
}

func ExampleLoop_Post() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Post(func() {
		fmt.Println("on the loop")
		_ = loop.Close() // from a callback: Run ends after it
	})
	fmt.Println(loop.Run(context.Background()))
	// Output:
	// on the loop
	// <nil>
}

func ExampleLoop_RunOnce() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	_, _ = loop.After(time.Millisecond, func(error) { fmt.Println("tick") })
	for ran := 0; ran == 0; {
		if ran, err = loop.RunOnce(-1); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output: tick
}

func ExampleLoop_Dial() {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	go func() {
		if c, err := peer.Accept(); err == nil {
			fmt.Fprint(c, "welcome")
			c.Close()
		}
	}()

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = loop.Dial("tcp", peer.Addr().String(), func(c *proactor.Conn, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		buf := make([]byte, 64)
		_, _ = c.Recv(buf, func(n int, err error) {
			fmt.Println(string(buf[:n]), err)
			_ = c.Close(func(error) { _ = loop.Close() })
		})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: welcome <nil>
}

func ExampleLoop_Listen() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	ln, err := loop.Listen("tcp", "127.0.0.1:0") // port 0: the kernel chooses one
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ln.Addr().Network(), ln.Addr().(*net.TCPAddr).IP)
	// Output: tcp 127.0.0.1
}

func ExampleLoop_ListenPacket() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := loop.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = c.RecvEach(func(b *proactor.Buffer, err error) {
		if err == nil {
			_, _ = c.SendBuffer(b, nil) // back to whom it came from: b.From()
		}
	})
	peer, err := loop.DialPacket("udp", c.LocalAddr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 100)
	_, _ = peer.Recv(buf, func(n int, err error) {
		fmt.Println(string(buf[:n]), err)
		_ = loop.Close()
	})
	_, _ = peer.Send([]byte("anybody there?"), nil)
	_ = loop.Run(context.Background())
	// Output: anybody there? <nil>
}

// A descriptor is passed over a unix socket: here within one program, to a pipe.
func ExampleConn_SendMsg() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := loop.Listen("unix", fmt.Sprintf("@proactor-example-%d", os.Getpid()))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = ln.Accept(func(c *proactor.Conn, err error) {
		m := &proactor.Message{Data: make([]byte, 10), Control: make(proactor.Control, 0, 64)}
		_, _ = c.RecvMsg(m, func(n int, err error) {
			for _, fd := range m.Rights() { // ours from here on
				f := os.NewFile(uintptr(fd), "passed")
				fmt.Println(f.WriteString("through the pipe"))
				_ = f.Close()
			}
			_ = loop.Close()
		})
	})
	r, w, err := os.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Dial("unix", ln.Addr().String(), func(c *proactor.Conn, err error) {
		m := &proactor.Message{Data: []byte{0}, Control: proactor.Control(nil).AppendRights(int(w.Fd()))}
		_, _ = c.SendMsg(m, func(int, error) { _ = w.Close() })
	})
	_ = loop.Run(context.Background())
	all, err := io.ReadAll(r)
	fmt.Println(string(all), err)
	// Output:
	// 16 <nil>
	// through the pipe <nil>
}

func ExampleLoop_OpenFile() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.OpenFile(filepath.Join(dir, "data"), os.O_RDWR|os.O_CREATE, 0o600, func(f *proactor.File, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = f.WriteAt([]byte("some data"), 0, func(n int, err error) {
			fmt.Println("wrote", n, err)
			buf := make([]byte, 16)
			_, _ = f.ReadAt(buf, 5, func(n int, err error) {
				fmt.Println(string(buf[:n]), err)
				_ = f.Close(func(error) { _ = loop.Close() })
			})
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// wrote 9 <nil>
	// data EOF
}

func ExampleConn_SetRecvTimeout() {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Dial("tcp", peer.Addr().String(), func(c *proactor.Conn, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		c.SetRecvTimeout(10 * time.Millisecond)
		_, _ = c.Recv(make([]byte, 1), func(n int, err error) {
			fmt.Println(n, errors.Is(err, os.ErrDeadlineExceeded))
			_ = loop.Close()
		})
	})
	_ = loop.Run(context.Background())
	// Output: 0 true
}

// What is received into a caller's own buffer, one operation after the other.
func ExampleConn_Recv() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = ln.Accept(func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		buf := make([]byte, 64)
		_, _ = c.Recv(buf, func(n int, err error) {
			fmt.Println(string(buf[:n]), err)
			_ = loop.Close()
		})
	})
	_, _ = loop.Dial("tcp", ln.Addr().String(), func(c *proactor.Conn, err error) {
		if err == nil {
			_, _ = c.Send([]byte("hello"), nil)
		}
	})
	_ = loop.Run(context.Background())
	// Output: hello <nil>
}

// A group serves one address with several loops.
func ExampleGroup() {
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	addr, err := g.Serve("tcp", "127.0.0.1:0", func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		_ = c.RecvEach(func(b *proactor.Buffer, err error) {
			if err == nil {
				_, _ = c.SendBuffer(b, nil)
			}
		})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error)
	go func() { ran <- g.Run(context.Background()) }()

	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	answer := make([]byte, 5)
	_, err = io.ReadFull(c, answer)
	fmt.Println(string(answer), err)

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	report, err := g.Shutdown(ctx) // the connection is idle: it is closed in order
	fmt.Println(report.Closed, report.Cut, err)
	fmt.Println(<-ran)
	// Output:
	// hello <nil>
	// 1 0 <nil>
	// <nil>
}
