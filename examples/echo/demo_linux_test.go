package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDemoReports(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c, err := parse([]string{"-demo", "-engine", engine}, io.Discard)
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, c.lasts)
		require.Equal(t, "127.0.0.1:0", c.addr)
		c.lasts = 200 * time.Millisecond
		var out bytes.Buffer
		require.NoError(t, run(context.Background(), c, &out, io.Discard))
		require.Regexp(t, `(?s)^listening on .+ engine `+engine+`.+`+
			`64 connections, 64-byte messages.+requests/s +[1-9]\d+\n.+p50 .+p99 .+CPU/request .+errors +0\n$`, out.String())
	})
}

func TestTheDemoEndsEarlyWhenAsked(t *testing.T) {
	c := &config{addr: "127.0.0.1:0", engine: "epoll", buffer: 64, demo: true, lasts: time.Hour}
	ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer stop()
	require.NoError(t, run(ctx, c, io.Discard, io.Discard))
}

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

func TestTheLoadSeesOneWrongByte(t *testing.T) {
	r, err := measure(context.Background(), liar(t), time.Minute)
	require.NoError(t, err)
	require.Equal(t, clients, r.errors)
	require.ErrorContains(t, r.verdict(), "64 of 64 connections failed, the first: sent ")
}
