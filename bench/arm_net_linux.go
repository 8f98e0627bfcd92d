package main

import "net"

// serveNet is a goroutine for each connection. The handler, if there is one, is
// called with each piece that is received.
func serveNet(handle func([]byte)) (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go acceptEcho(ln, handle)
	return ln.Addr(), nil
}

func acceptEcho(ln net.Listener, handle func([]byte)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			fatal(err)
		}
		go echoNet(c, handle)
	}
}

func echoNet(c net.Conn, handle func([]byte)) {
	defer c.Close()
	buf := make([]byte, bufferSize)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if handle != nil {
			handle(buf[:n])
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}
