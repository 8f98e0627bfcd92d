package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFastHTTPServesFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/a.txt", []byte("a file"), 0o644))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- serveFiles(ln, dir) }()
	for path, want := range map[string]string{"/plaintext": "Hello, World!", "/a.txt": "a file"} {
		r, err := http.Get("http://" + ln.Addr().String() + path)
		require.NoError(t, err)
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, want, string(b))
	}
	require.NoError(t, ln.Close())
	<-ended
}
