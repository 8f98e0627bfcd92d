package proactor_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// A temporary file of package os, written through the loop.
func ExampleLoop_AdoptFile() {
	theirs, err := os.CreateTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(theirs.Name())
	defer theirs.Close() // it stays ours
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := loop.AdoptFile(theirs)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = f.WriteAt([]byte("by the loop"), 0, func(n int, err error) {
		fmt.Println(n, err)
		_ = f.Close(func(error) { _ = loop.Close() })
	})
	_ = loop.Run(context.Background())
	b := make([]byte, 11)
	_, err = theirs.ReadAt(b, 0)
	fmt.Println(string(b), err)
	// Output:
	// 11 <nil>
	// by the loop <nil>
}

// A listener that somebody else has made, with options of his own or as a descriptor
// from the program's parent, for example.
func ExampleLoop_AdoptListener() {
	theirs, err := net.Listen("tcp", "127.0.0.1:0")
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
	ln, err := loop.AdoptListener(theirs) // theirs is closed, the socket isn't
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		_, _ = c.Send([]byte("welcome"), nil)
		_ = c.Close(nil)
	})
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

// A socket of package net becomes one of the loop, with what it has received.
func ExampleLoop_AdoptPacketConn() {
	theirs, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	peer, err := net.Dial("udp", theirs.LocalAddr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	fmt.Fprint(peer, "already there")

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := loop.AdoptPacketConn(theirs)
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 100)
	_, _ = c.RecvFrom(buf, func(n int, from netip.AddrPort, err error) {
		fmt.Println(string(buf[:n]), from.String() == peer.LocalAddr().String(), err)
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output: already there true <nil>
}

// A datagram socket that has one peer: it hears nobody else.
func ExampleLoop_DialPacket() {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go func() {
		question := make([]byte, 100)
		if n, from, err := server.ReadFrom(question); err == nil {
			_, _ = server.WriteTo(append([]byte("re: "), question[:n]...), from)
		}
	}()

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := loop.DialPacket("udp", server.LocalAddr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := make([]byte, 100)
	_, _ = c.Recv(answer, func(n int, err error) {
		fmt.Println(string(answer[:n]), err)
		_ = loop.Close()
	})
	_, _ = c.Send([]byte("anybody there?"), nil)
	_ = loop.Run(context.Background())
	// Output: re: anybody there? <nil>
}

// Directories can be adopted, too: names are then looked up in them.
func ExampleLoop_AdoptFile_directory() {
	name, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(name)
	_ = os.WriteFile(filepath.Join(name, "data"), []byte("text"), 0o600)
	theirs, err := os.Open(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer theirs.Close()

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := loop.AdoptFile(theirs)
	if err != nil {
		fmt.Println(err)
		return
	}
	var statx proactor.Statx
	stat := proactor.Op{Done: func(o *proactor.Op) {
		_, err := o.Result()
		fmt.Println(statx.Size(), err)
		_ = loop.Close()
	}}
	if _, err := loop.Submit(stat.Statx(dir, "data", 0, 0, &statx)); err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: 4 <nil>
}
