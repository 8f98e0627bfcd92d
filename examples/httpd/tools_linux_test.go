package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

// curl runs curl(1) and returns what it prints.
func curl(t *testing.T, args ...string) string {
	cmd := exec.Command(needTool(t, "curl"), append([]string{"-sS", "--max-time", fmt.Sprint(int(patience / time.Second))}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestCurl(t *testing.T) {
	takesSeconds(t)
	site := plant(t)
	bothWays(t, site, func(t *testing.T, s *running) {
		url := "http://" + s.addr
		require.Equal(t, "Hello, World!", curl(t, url+"/plaintext"))
		require.Equal(t, "Hello, World!", curl(t, "--http1.0", url+"/plaintext"))
		require.Contains(t, curl(t, "-I", url+"/64k.bin"), "\r\nContent-Length: 65536\r\n")
		big := filepath.Join(t.TempDir(), "big")
		curl(t, "-o", big, url+"/big.png")
		got, err := os.ReadFile(big)
		require.NoError(t, err)
		require.True(t, bytes.Equal(site.files["/big.png"], got))
		require.Equal(t, string(site.files["/64k.bin"][10:20]), curl(t, "-r", "10-19", url+"/64k.bin"))
		require.Equal(t, 2, strings.Count(curl(t, "-r", "0-0,-1", url+"/64k.bin"), "Content-Range: bytes "))

		// A transfer that was interrupted is resumed.
		require.NoError(t, os.Truncate(big, 1_000_003))
		curl(t, "-C", "-", "-o", big, url+"/big.png")
		got, err = os.ReadFile(big)
		require.NoError(t, err)
		require.True(t, bytes.Equal(site.files["/big.png"], got))

		code := []string{"-o", "/dev/null", "-w", "%{http_code} %{num_connects} %{size_download}\n"}
		with := func(args ...string) []string { return append(code[:len(code):len(code)], args...) }
		require.Equal(t, "304 1 0\n", curl(t, with("-z", filepath.Join(site.dir, "64k.bin"), url+"/64k.bin")...))
		require.Equal(t, "200 1 65536\n", curl(t, with("-z", "1 Jan 2000", url+"/64k.bin")...))
		etags := filepath.Join(t.TempDir(), "etag")
		require.Equal(t, "200 1 65536\n", curl(t, with("--etag-save", etags, url+"/64k.bin")...))
		require.Equal(t, "304 1 0\n", curl(t, with("--etag-compare", etags, url+"/64k.bin")...))
		require.Equal(t, "200 1 1000\n200 0 1000\n404 0 10\n200 0 1000\n", curl(t, "-s", url+"/small.html", "-o", "/dev/null", "-w", code[3],
			url+"/small.html", "-o", "/dev/null", url+"/nothing", "-o", "/dev/null", url+"/small.html", "-o", "/dev/null"), "one connection serves all")
		require.Equal(t, "400 1 12\n", curl(t, with("--path-as-is", url+"/../../etc/passwd")...))
		require.Equal(t, "200 2 50\n", curl(t, with("-L", "-H", "Connection: close", url+"/dir")...))
		require.Equal(t, "405 1 19\n", curl(t, with("-d", "x=y", url+"/one.txt")...))
		require.Equal(t, "413 1 25\n", curl(t, with("-T", filepath.Join(site.dir, "big.png"), "-X", "GET", url+"/one.txt")...), "with Expect: 100-continue")

		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				name := filepath.Join(t.TempDir(), fmt.Sprint(i))
				out, err := exec.Command("curl", "-sS", "-o", name, url+"/big.png").CombinedOutput()
				got, _ := os.ReadFile(name)
				if err != nil || !bytes.Equal(site.files["/big.png"], got) {
					t.Errorf("%v: %s, %d bytes", err, out, len(got))
				}
			})
		}
		all.Wait()
	})
}

// Under load all answers are 200, and no connection fails.
func TestWrk(t *testing.T) {
	wrk := needTool(t, "wrk")
	site := plant(t)
	takesSeconds(t)
	script := filepath.Join(t.TempDir(), "requests.lua")
	require.NoError(t, os.WriteFile(script, []byte(`
init = function(args)
	local all = {}
	for i = 1, tonumber(args[1]) do all[i] = wrk.format("GET", i % 4 == 0 and "/small.html" or i % 8 == 1 and "/64k.bin" or "/plaintext") end
	if args[2] == "pipelined" then all = {table.concat(all)} end
	requests, next = all, 0
end
request = function()
	next = next % #requests + 1
	return requests[next]
end
`), 0o644))
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, 1024, "-engine", engine, "-loops", "2", site.dir)
		for _, how := range []string{"alone", "pipelined"} {
			out, err := exec.Command(wrk, "-t1", "-c64", "-d1s", "-s", script, "http://"+c.addr, "--", "16", how).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.NotContains(t, string(out), "Non-2xx")
			require.NotContains(t, string(out), "Socket errors")
			m := regexp.MustCompile(`(\d+) requests in`).FindSubmatch(out)
			require.NotNil(t, m, "%s", out)
			n, err := strconv.Atoi(string(m[1]))
			require.NoError(t, err)
			require.Positive(t, n, "%s", out)
		}
		c.end(t, os.Interrupt)
		require.Empty(t, c.errs.String())
	})
}
