package main

import (
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// broken are servers that break what they answer, once in some thousand bytes.
var broken = map[string]serve{
	"broken-wrong": serveBroken(5000, func(b, _ []byte, i int) []byte {
		b[i] ^= 1
		return b
	}),
	"broken-double": serveBroken(5000, func(b, _ []byte, i int) []byte { return slices.Insert(b, i, b[i]) }),
	"broken-swap": serveBroken(5000, func(b, _ []byte, i int) []byte {
		j := (i + 1) % len(b)
		b[i], b[j] = b[j], b[i]
		return b
	}),
	"broken-order": serveBroken(5000, func(b, _ []byte, _ int) []byte { // of requests of 64 bytes
		return slices.Concat(b[64:], b[:64])
	}),
	"broken-stale": serveBroken(5000, func(b, last []byte, _ int) []byte {
		if len(b) == len(last) {
			copy(b[64:], last[64:]) // all but the first answer are the last ones
		}
		return b
	}),
	"broken-drop":   serveBroken(5000, func(b, _ []byte, i int) []byte { return slices.Delete(b, i, i+1) }),
	"broken-extra":  serveBrokenEnd(func(c net.Conn) { _, _ = c.Write([]byte{1}) }),
	"broken-reset":  serveBrokenEnd(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }),
	"broken-no-end": serveBrokenEnd(func(net.Conn) { select {} }),
}

// serveBroken breaks one byte in so many, of all connections together: spoil gets
// what was received, what was received before, and the index of the byte.
func serveBroken(every int64, spoil func(b, last []byte, i int) []byte) serve {
	return serveConns(func(received *atomic.Int64, c net.Conn) {
		var last []byte
		buf := make([]byte, bufferSize)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			b := slices.Clone(buf[:n])
			if past := int(received.Add(int64(n)) % every); past < n {
				b = spoil(b, last, n-1-past)
			}
			last = slices.Clone(buf[:n])
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
}

// serveBrokenEnd answers well to the end of the stream, and then spoils it.
func serveBrokenEnd(spoil func(net.Conn)) serve {
	return serveConns(func(_ *atomic.Int64, c net.Conn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, bufferSize))
		spoil(c)
	})
}

// serveConns is a server that f serves each connection of.
func serveConns(f func(received *atomic.Int64, c net.Conn)) serve {
	return func() (net.Addr, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		var received atomic.Int64
		go func() {
			for {
				c, err := ln.Accept()
				fatal(err)
				go func() {
					defer c.Close()
					f(&received, c)
				}()
			}
		}()
		return ln.Addr(), nil
	}
}

func TestTheLoadFindsABrokenServer(t *testing.T) {
	for _, l := range loads {
		for _, arm := range []string{"broken-wrong", "broken-double", "broken-swap"} {
			if l.load.Churn && arm == "broken-swap" {
				continue // a single byte has no order
			}
			t.Run(l.name+"/"+arm, func(t *testing.T) {
				l.load.Time = time.Minute // it ends when the fault is found
				_, err := l.load.put(serving(t, arm))
				if l.load.Churn && arm == "broken-double" {
					require.ErrorIs(t, err, errExtra)
				} else {
					require.ErrorIs(t, err, errWrong)
				}
			})
		}
	}
}

func TestTheLoadFindsPipelinedAnswersInTheWrongPlace(t *testing.T) {
	for _, arm := range []string{"broken-order", "broken-stale"} {
		t.Run(arm, func(t *testing.T) {
			_, err := load{Conns: 8, Size: 64, Pipe: 16, Time: time.Minute}.put(serving(t, arm))
			require.ErrorIs(t, err, errWrong)
		})
	}
}

func TestTheLoadFindsWhatComesAfterTheLastAnswer(t *testing.T) {
	for _, l := range loads {
		t.Run(l.name, func(t *testing.T) {
			require.ErrorIs(t, briefly(l.load, serving(t, "broken-extra")), errExtra)
			require.ErrorIs(t, briefly(l.load, serving(t, "broken-reset")), syscall.ECONNRESET)
		})
	}
}

func TestTheLoadFindsAConnectionThatIsNotEnded(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, briefly(load{Conns: 8, Size: 64}, serving(t, "broken-no-end")), errOpen)
}

// brokenDatagrams break what they answer, once in a thousand datagrams.
var brokenDatagrams = map[string]serve{
	"broken-wrong": serveBrokenDatagrams(func(b []byte, send func([]byte)) {
		b[len(b)-1] ^= 1
		send(b)
	}),
	"broken-short": serveBrokenDatagrams(func(b []byte, send func([]byte)) { send(b[:len(b)-1]) }),
	"broken-empty": serveBrokenDatagrams(func(b []byte, send func([]byte)) { send(nil) }),
	"broken-double": serveBrokenDatagrams(func(b []byte, send func([]byte)) {
		send(b)
		send(b)
	}),
	"broken-drop": serveBrokenDatagrams(func([]byte, func([]byte)) {}),
}

func serveBrokenDatagrams(spoil func(b []byte, send func([]byte))) serve {
	return func() (net.Addr, error) {
		c, err := listenUDP()
		if err != nil {
			return nil, err
		}
		go func() {
			buf := make([]byte, bufferSize)
			for received := 1; ; received++ {
				n, from, err := c.ReadFromUDPAddrPort(buf)
				fatal(err)
				send := func(b []byte) {
					_, err := c.WriteToUDPAddrPort(b, from)
					fatal(err)
				}
				if received%1000 == 0 {
					spoil(buf[:n], send)
				} else {
					send(buf[:n])
				}
			}
		}()
		return c.LocalAddr(), nil
	}
}

func TestTheLoadFindsBrokenDatagrams(t *testing.T) {
	l := load{Kind: datagrams, Conns: 8, Size: 64, Pipe: 8, Time: time.Minute}
	for _, arm := range []string{"broken-wrong", "broken-short", "broken-empty", "broken-double"} {
		t.Run(arm, func(t *testing.T) {
			_, err := l.put(serving(t, l.server(arm)))
			require.ErrorIs(t, err, errWrong)
		})
	}
}

func TestADatagramThatNobodyWaitsForIsExtra(t *testing.T) {
	c, err := listenUDP()
	require.NoError(t, err)
	defer c.Close()
	g, err := newGenerator(load{Kind: datagrams, Conns: 1, Size: 64, Pipe: 8}, 1, c.LocalAddr().String())
	require.NoError(t, err)
	defer g.loop.Close()
	f, err := newFlow(g)
	require.NoError(t, err)
	g.busy = 2
	s := &f.slots[3]
	f.request(s, time.Now())
	require.True(t, s.away)
	g.stopping = true
	require.NoError(t, f.answer(s.b, time.Now()))
	require.ErrorIs(t, f.answer(s.b, time.Now()), errExtra)
}

func TestTheLoadMissesADroppedDatagram(t *testing.T) {
	t.Parallel()
	l := load{Kind: datagrams, Conns: 8, Size: 64, Pipe: 8, Time: 200 * time.Millisecond}
	_, err := l.put(serving(t, l.server("broken-drop")))
	require.ErrorIs(t, err, errMissing)
}

// A connection whose answer lacks a byte sends nothing more: the load sees it at its
// end.
func TestTheLoadMissesADroppedByte(t *testing.T) {
	t.Parallel()
	_, err := load{Conns: 8, Size: 64, Time: 200 * time.Millisecond}.put(serving(t, "broken-drop"))
	require.ErrorIs(t, err, errMissing)
}
