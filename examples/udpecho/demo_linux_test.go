package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestTheDemoReports(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
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
