package op_test

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// An address for an operation that takes one: a datagram, here, to the socket itself.
func ExampleIPSockaddr() {
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
	to, err := op.IPSockaddr(c.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		fmt.Println(err)
		return
	}
	connect := op.Op{Done: func(o *op.Op) {
		_, err := o.Result()
		fmt.Println(c.RemoteAddr().String() == c.LocalAddr().String(), err)
		_ = loop.Close()
	}}
	if _, err := loop.Submit(connect.Connect(c, to)); err != nil {
		fmt.Println(err)
		return
	}
	_ = loop.Run(context.Background())
	// Output: true <nil>
}

// Control messages are appended, and read one by one.
func ExampleControl_All() {
	c := op.Control(nil).AppendRights(0, 1, 2)
	fmt.Println(len(c) == op.ControlSpace(3*4)) // three descriptors of 4 bytes
	for m := range c.All() {
		fmt.Println(m.Type, len(m.Data)) // SCM_RIGHTS
	}
	// Output:
	// true
	// 1 12
}

// A path in the file system, or with an @ an abstract name, of unix sockets.
func ExampleUnixSockaddr() {
	_, err := op.UnixSockaddr("@name")
	fmt.Println(err)
	_, err = op.UnixSockaddr(strings.Repeat("x", 200)) // 108 bytes have room (man 7 unix)
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}
