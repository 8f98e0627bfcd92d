package main

import (
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// broken are servers that break what they answer, once in some thousand bytes.
var broken = map[string]func() (net.Addr, error){
	"broken-wrong": serveBroken(5000, func(b []byte, i int) []byte {
		b[i] ^= 1
		return b
	}),
	"broken-double": serveBroken(5000, func(b []byte, i int) []byte { return slices.Insert(b, i, b[i]) }),
	"broken-swap": serveBroken(5000, func(b []byte, i int) []byte {
		j := (i + 1) % len(b)
		b[i], b[j] = b[j], b[i]
		return b
	}),
	"broken-drop": serveBroken(5000, func(b []byte, i int) []byte { return slices.Delete(b, i, i+1) }),
}

// serveBroken breaks one byte in so many, of all connections together: spoil gets
// what was received and the index of the byte.
func serveBroken(every int64, spoil func(b []byte, i int) []byte) func() (net.Addr, error) {
	return func() (net.Addr, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		var received atomic.Int64
		serve := func(c net.Conn) {
			defer c.Close()
			buf := make([]byte, bufferSize)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				b := buf[:n]
				if past := int(received.Add(int64(n)) % every); past < n {
					b = spoil(slices.Clone(b), n-1-past)
				}
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}
		go func() {
			for {
				c, err := ln.Accept()
				fatal(err)
				go serve(c)
			}
		}()
		return ln.Addr(), nil
	}
}

func TestTheLoadFindsABrokenServer(t *testing.T) {
	for _, l := range loads {
		for _, arm := range []string{"broken-wrong", "broken-double", "broken-swap"} {
			if l.load.Churn && arm != "broken-wrong" {
				continue // a single byte has no order, and nothing is read after it
			}
			t.Run(l.name+"/"+arm, func(t *testing.T) {
				l.load.Time = time.Minute // it ends when the fault is found
				_, err := l.load.put(serving(t, arm))
				require.ErrorIs(t, err, errWrong)
			})
		}
	}
}

// A connection whose answer lacks a byte sends nothing more: the load sees it at its
// end.
func TestTheLoadMissesADroppedByte(t *testing.T) {
	t.Parallel()
	_, err := load{Conns: 8, Size: 64, Time: 200 * time.Millisecond}.put(serving(t, "broken-drop"))
	require.ErrorIs(t, err, errMissing)
}
