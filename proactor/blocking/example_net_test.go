package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
)

// A loop with options, on a goroutine of its own.
func ExampleNew() {
	n, err := blocking.New(proactor.WithEngineName("epoll"), proactor.WithWorkers(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	name, why := n.Loop().Engine()
	fmt.Println(name, why)
	fmt.Println(n.Close())
	// Output:
	// epoll chosen by option
	// <nil>
}

// A unix socket, and a dial that a context can end.
func ExampleNet_Dial() {
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
	ln, err := n.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	c, err := n.Dial(context.Background(), "unix", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.RemoteAddr().Network(), c.Close())

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = n.Dial(ctx, "unix", ln.Addr().String())
	var e *net.OpError
	fmt.Println(errors.As(err, &e), e.Op)
	// Output:
	// unix <nil>
	// true dial
}

// A connection that a callback got, for code that wants a net.Conn: crypto/tls, for
// example.
func ExampleNet_Conn() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	conns := make(chan net.Conn, 1)
	_, err = n.Loop().Dial("tcp", peer.Addr().String(), func(c *proactor.Conn, err error) {
		if err != nil {
			fmt.Println(err)
			close(conns)
			return
		}
		conns <- n.Conn(c) // nothing is submitted to c from here on
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, ok := <-conns
	if !ok {
		return
	}
	fmt.Fprint(c, "hello")
	c.Close()
	theirs, err := peer.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer theirs.Close()
	b, err := io.ReadAll(theirs)
	fmt.Println(string(b), err)
	// Output: hello <nil>
}

// What is in a directory, and in a file.
func ExampleNet_ReadDir() {
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
	_ = os.WriteFile(filepath.Join(dir, "b"), []byte("second"), 0o600)
	_ = os.WriteFile(filepath.Join(dir, "a"), []byte("first"), 0o600)
	all, err := n.ReadDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range all {
		b, err := n.ReadFile(filepath.Join(dir, e.Name()))
		fmt.Println(e.Name(), string(b), err)
	}
	// Output:
	// a first <nil>
	// b second <nil>
}

// Whether there is a file, and where the error comes from.
func ExampleNet_Stat() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	_, err = n.Stat("/dev/null/nothing")
	var e *fs.PathError
	fmt.Println(errors.As(err, &e), e.Path)
	i, err := n.Stat("/dev")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(i.IsDir(), i.Sys().(*proactor.Statx).Nlink > 0)
	// Output:
	// true /dev/null/nothing
	// true true
}

// Two listening sockets of one address: the kernel deals connections out among them.
func ExampleNet_ListenWith() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	config := &proactor.ListenConfig{ReusePort: true}
	one, err := n.ListenWith(config, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	two, err := n.ListenWith(config, "tcp", one.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()
	fmt.Println(one.Addr().String() == two.Addr().String())
	// Output: true
}

// A UDP server that allocates nothing for an address, on a port that others share.
func ExampleNet_ListenPacketWith() {
	n, err := blocking.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	server, err := n.ListenPacketWith(&proactor.ListenConfig{ReusePort: true}, "udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go func() {
		b := make([]byte, 1500)
		for {
			k, from, err := server.ReadFromUDPAddrPort(b)
			if err != nil {
				return // net.ErrClosed
			}
			_, _ = server.WriteToUDPAddrPort(b[:k], from)
		}
	}()
	c, err := net.Dial("udp", server.LocalAddr().String())
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
