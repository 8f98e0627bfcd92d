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
		require.NoError(t, run(context.Background(), c, &out))
		require.Regexp(t, `(?s)^listening on .+ engine `+engine+`.+`+
			`64 clients, datagrams of 64 bytes.+requests/s +[1-9]\d+\n.+p50 .+p99 .+CPU/request .+errors +0\n$`, out.String())
	})
}

func TestTheDemoEndsEarlyWhenAsked(t *testing.T) {
	c := configOf(t, "epoll", "127.0.0.1:0", "-demo")
	c.lasts = time.Hour
	ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer stop()
	require.NoError(t, run(ctx, c, io.Discard))
}

// liar is a server that gets the last byte of each datagram wrong.
func liar(t *testing.T) net.Addr {
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
			b[n-1] ^= 1
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	return c.LocalAddr()
}

func TestTheLoadSeesOneWrongByte(t *testing.T) {
	r, err := measure(context.Background(), liar(t), time.Minute)
	require.NoError(t, err)
	require.Equal(t, clients, r.errors)
	require.ErrorContains(t, r.verdict(), "64 of 64 clients failed, the first: sent ")
}
