package pingpong

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// liar is a server that gets the last byte of each message wrong.
func liar(t *testing.T) net.Addr {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go lie(c)
		}
	}()
	return ln.Addr()
}

func lie(c net.Conn) {
	defer c.Close()
	b := make([]byte, messageSize)
	for {
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		b[messageSize-1] ^= 1
		_, _ = c.Write(b)
	}
}

// packetLiar gets the last byte of each datagram wrong.
func packetLiar(t *testing.T) net.Addr {
	return answerPackets(t, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
}

func answerPackets(t *testing.T, answer func([]byte) []byte) net.Addr {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(answer(b[:n]), from)
		}
	}()
	return c.LocalAddr()
}

// short is a server that leaves the last byte of each datagram out.
func short(t *testing.T) net.Addr {
	return answerPackets(t, func(b []byte) []byte { return b[:len(b)-1] })
}

func TestTheLoadSeesOneWrongByte(t *testing.T) {
	for name, server := range map[string]func(*testing.T) net.Addr{"stream": liar, "datagrams": packetLiar, "short datagrams": short} {
		t.Run(name, func(t *testing.T) {
			r, err := measure(context.Background(), server(t), time.Minute)
			require.NoError(t, err)
			require.Equal(t, clients, r.errors)
			require.ErrorContains(t, r.verdict(), "64 of 64 clients failed, the first: sent ")
		})
	}
}
