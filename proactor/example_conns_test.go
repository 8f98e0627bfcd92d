package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// readAll is what comes until the end of a stream.
func readAll(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

// The raw form: a connection is a struct with its buffer and an operation for each
// direction, whose callbacks are bound once. What is submitted again and again allocates
// nothing, and takes no lock.
type echoed struct {
	loop       *proactor.Loop
	conn       *proactor.Conn
	recv, send proactor.Op
	buf        [4096]byte
}

func (e *echoed) received(o *proactor.Op) {
	n, err := o.Result()
	if err != nil { // io.EOF: the peer is done
		_ = e.conn.Close(nil)
		return
	}
	_, _ = e.loop.Submit(e.send.Send(e.conn, e.buf[:n]))
}

func (e *echoed) sent(o *proactor.Op) {
	if _, err := o.Result(); err != nil {
		_ = e.conn.Abort(nil)
		return
	}
	_, _ = e.loop.Submit(e.recv.Recv(e.conn, e.buf[:]))
}

// An echo server by operations of one's own; type echoed has received and sent as its
// callbacks.
func ExampleOp() {
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
	_ = ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		e := &echoed{loop: loop, conn: c}
		e.recv.Done, e.send.Done = e.received, e.sent // once
		_, _ = loop.Submit(e.recv.Recv(c, e.buf[:]))
	})
	go run(loop)

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	_ = c.(*net.TCPConn).CloseWrite()
	fmt.Println(readAll(c))
	// Output: hello <nil>
}

// An idle connection holds no memory for what it may receive: a Buffer comes with data.
func ExampleConn_RecvEach() {
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
	all := make(chan string, 1)
	_, _ = ln.Accept(func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		var text []byte
		_ = c.RecvEach(func(b *proactor.Buffer, err error) {
			if err != nil { // the last callback: io.EOF, no Buffer
				all <- fmt.Sprint(string(text), " ", err)
				_ = c.Close(nil)
				return
			}
			text = append(text, b.Bytes()...)
			b.Release() // or keep it, or SendBuffer
		})
	})
	go run(loop)

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(c, "piece ")
	fmt.Fprint(c, "by piece")
	c.Close()
	fmt.Println(<-all)
	// Output: piece by piece EOF
}

// Water marks tell when too much waits to be sent, and when it has gone.
func ExampleConn_SetWaterMarks() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	marks := make(chan bool, 2)
	_, _ = loop.Dial("tcp", peer.Addr().String(), func(c *proactor.Conn, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		c.SetWaterMarks(1<<20, 4<<20, func(full bool) { marks <- full })
		_, _ = c.Send(make([]byte, 16<<20), func(int, error) { _ = c.Close(nil) })
	})
	go run(loop)

	c, err := peer.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println("full:", <-marks)
	n, err := io.Copy(io.Discard, c)
	fmt.Println("received", n, err)
	fmt.Println("full:", <-marks)
	// Output:
	// full: true
	// received 16777216 <nil>
	// full: false
}

// The callback comes when the memory is free again.
func ExampleConn_SendZeroCopy() {
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
		b := make([]byte, 100_000)
		_, _ = c.SendZeroCopy(b, func(n int, copied bool, err error) { // copied: on loopback, always
			b[0] = 1 // ours again
			fmt.Println(n, err)
			_ = c.Close(func(error) { _ = loop.Close() })
		})
	})
	go func() {
		if c, err := peer.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	_ = loop.Run(context.Background())
	// Output: 100000 <nil>
}

// A connection goes to another loop, for example to one that has less to do.
func ExampleConn_Move() {
	from, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	to, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer to.Close()
	defer from.Close()
	ln, err := from.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = ln.Accept(func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		_ = c.Move(to, func(c *proactor.Conn, err error) { // on the other loop
			if err != nil {
				fmt.Println(err)
				return
			}
			_, _ = c.Send([]byte(fmt.Sprint("moved: ", c.Loop() == to)), nil)
			_ = c.Close(nil)
		})
	})
	go run(from)
	go run(to)

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(readAll(c))
	// Output: moved: true <nil>
}

// A connection of package net becomes one of the loop, and goes back.
func ExampleLoop_AdoptConn() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	theirs, err := ln.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	c, err := loop.AdoptConn(theirs) // theirs is closed, the socket isn't
	if err != nil {
		fmt.Println(err)
		return
	}
	back := make(chan net.Conn)
	_, _ = c.Send([]byte("from the loop, "), func(int, error) {
		_ = c.NetConn(func(n net.Conn, err error) { back <- n })
	})
	go run(loop)
	n := <-back
	fmt.Fprint(n, "from package net")
	n.Close()
	fmt.Println(readAll(peer))
	// Output: from the loop, from package net <nil>
}

// A pipe of package os as a stream of the loop.
func ExampleLoop_AdoptStream() {
	r, w, err := os.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := loop.AdoptStream(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Close() // the Conn has a descriptor of its own
	_ = in.RecvEach(func(b *proactor.Buffer, err error) {
		if err != nil {
			fmt.Println(errors.Is(err, io.EOF))
			_ = loop.Close()
			return
		}
		fmt.Println(string(b.Bytes()))
		b.Release()
	})
	fmt.Fprint(w, "through the pipe")
	w.Close()
	_ = loop.Run(context.Background())
	// Output:
	// through the pipe
	// true
}

// Options of a listening socket; several with ReusePort share an address.
func ExampleListenConfig() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	config := proactor.ListenConfig{Backlog: 128, ReusePort: true}
	one, err := config.Listen(loop, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	two, err := config.Listen(loop, "tcp", one.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(one.Addr().String() == two.Addr().String())
	// Output: true
}

// The local address that each datagram was sent to, in a control message.
func ExamplePacketConn_SetControl() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := loop.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.SetControl(proactor.PacketInfo); err != nil {
		fmt.Println(err)
		return
	}
	_ = c.RecvEach(func(b *proactor.Buffer, err error) {
		if err != nil {
			return
		}
		to, _ := b.Control().PacketInfo()
		fmt.Printf("%s, sent to %v\n", b.Bytes(), to)
		b.Release()
		_ = loop.Close()
	})
	port := c.LocalAddr().(*net.UDPAddr).Port
	_, _ = c.SendTo([]byte("hello"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), uint16(port)), nil)
	_ = loop.Run(context.Background())
	// Output: hello, sent to 127.0.0.3
}

// Many datagrams by one system call.
func ExamplePacketConn_SendMsgs() {
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
	buf := make([]byte, 100)
	var got func(n int, from netip.AddrPort, err error)
	got = func(n int, from netip.AddrPort, err error) {
		fmt.Println(string(buf[:n]), from == c.LocalAddr().(*net.UDPAddr).AddrPort(), err)
		if string(buf[:n]) == "two" {
			_ = loop.Close()
			return
		}
		_, _ = c.RecvFrom(buf, got)
	}
	_, _ = c.RecvFrom(buf, got)
	all := make([]proactor.Message, 2)
	for i, text := range []string{"one", "two"} {
		all[i].Data = []byte(text)
		_ = all[i].To(c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	_, _ = c.SendMsgs(all, nil)
	_ = loop.Run(context.Background())
	// Output:
	// one true <nil>
	// two true <nil>
}

// A question whose end tells that it is complete, and the answer: the connection is
// closed in one direction only. Its two pieces leave by one system call.
func ExampleConn_CloseWrite() {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	go func() {
		c, err := peer.Accept()
		if err != nil {
			return
		}
		all, _ := io.ReadAll(c) // up to the end that CloseWrite makes
		fmt.Fprintf(c, "got %q", all)
		c.Close()
	}()
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
		_, _ = c.SendBuffers([][]byte{[]byte("head "), []byte("body")}, nil)
		_, _ = c.CloseWrite(nil)
		buf := make([]byte, 100)
		_, _ = c.Recv(buf, func(n int, err error) {
			fmt.Println(string(buf[:n]), err)
			_ = loop.Close()
		})
	})
	_ = loop.Run(context.Background())
	// Output: got "head body" <nil>
}

// A limit on connections: the backlog keeps the others until one is closed.
func ExampleListener_AcceptEach() {
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
	const most = 1
	open := 0 // the loop's callbacks come one at a time
	_ = ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil {
			return // net.ErrClosed if it is the last
		}
		if open++; open == most {
			ln.PauseAccept()
		}
		_, _ = c.Send([]byte("welcome"), nil)
		_ = c.Close(func(error) {
			if open--; open < most {
				ln.ResumeAccept()
			}
		})
	})
	go run(loop)

	for range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(readAll(c))
		c.Close()
	}
	// Output:
	// welcome <nil>
	// welcome <nil>
	// welcome <nil>
}

// Whoever doesn't answer in time is given up.
func ExampleLoop_DialTimeout() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	_, _ = loop.DialTimeout("tcp", peer.Addr().String(), time.Minute, func(c *proactor.Conn, err error) {
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			fmt.Println("nobody answers")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println("connected")
		}
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output: connected
}
