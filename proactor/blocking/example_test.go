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
