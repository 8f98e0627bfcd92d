package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

// tool is a program of the Debian package redis-tools.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("PROACTOR_CI") == "" {
		t.Skip(name + " is not installed")
	}
	require.NoError(t, err)
	return path
}

func TestRedisCLI(t *testing.T) {
	cli := tool(t, "redis-cli")
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, "-engine", engine, "-file", t.TempDir()+"/log")
		_, port, _ := strings.Cut(c.at, ":")
		ask := func(in string, args ...string) string {
			cmd := exec.Command(cli, append([]string{"-p", port}, args...)...)
			cmd.Stdin = strings.NewReader(in)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			return string(out)
		}
		require.Equal(t, "PONG\n", ask("", "PING"))
		require.Equal(t, "OK\n", ask("", "SET", "greeting", "hello world", "EX", "1000"))
		require.Equal(t, "hello world\n", ask("", "GET", "greeting"))
		require.Equal(t, "1\n2\n2\n", ask("INCR n\nINCR n\nGET n\n"))
		require.Equal(t, "OK\n", ask("from stdin", "-x", "SET", "x"))
		require.Equal(t, "from stdin\n", ask("", "GET", "x"))
		require.Equal(t, "ERR unknown command 'NONE', with args beginning with: 'a' \n", strings.TrimSuffix(ask("", "NONE", "a"), "\n"))
		require.Contains(t, ask("", "INFO", "persistence"), "aof_last_write_status:ok")
		require.Empty(t, c.end(t, os.Interrupt))
	})
}

func TestRedisBenchmark(t *testing.T) {
	bench := tool(t, "redis-benchmark")
	result := regexp.MustCompile(`"(PING_INLINE|PING_MBULK|SET|GET|INCR|MSET \(10 keys\))","[1-9][0-9.]*"`)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, "-engine", engine, "-file", t.TempDir()+"/log")
		_, port, _ := strings.Cut(c.at, ":")
		for _, pipeline := range []string{"1", "16"} {
			out, err := exec.Command(bench, "-p", port, "-c", "20", "-n", "3000", "-P", pipeline, "-r", "1000", "--csv",
				"-t", "ping,set,get,incr,mset").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Len(t, result.FindAllString(string(out), -1), 6, "%s", out)
			require.NotContains(t, string(out), "ERR")
		}
	})
}
