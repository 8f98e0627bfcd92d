package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { harness.Main(m, main) }

// child is the program as a process of its own.
func child(t *testing.T, descriptors int, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self, args...)
	// A binary of the race detector sleeps for a second before it exits.
	c.Env = append(os.Environ(), fmt.Sprint(harness.ChildVar, "=", descriptors), "GORACE=atexit_sleep_ms=0")
	return c
}

// result is what a run in this process came to.
type result struct {
	code      int
	out, errs string
}

func runSum(t *testing.T, args ...string) result {
	c, err := parse(args, io.Discard)
	require.NoError(t, err)
	ctx, stop := context.WithTimeoutCause(context.Background(), time.Minute, errors.New("the run hangs"))
	defer stop()
	var out, errs bytes.Buffer
	code := run(ctx, c, &out, &console{to: &errs})
	require.NoError(t, context.Cause(ctx))
	return result{code, out.String(), errs.String()}
}

const small = 4096 // a block size

// plant makes a directory with files of all the sizes and names that matter,
// and returns what should be printed for it.
func plant(t *testing.T) (root, want string) {
	root = t.TempDir()
	for _, n := range []int{0, 1, small - 1, small, small + 1, 2 * small, 7*small + 13, 300 * small} {
		write(t, filepath.Join(root, "sizes", strconv.Itoa(n)), n)
	}
	for _, name := range []string{"a/b", "a.b", "a b", "new\nline", `back\slash`, "carriage\rreturn", "-", "\xff", "é"} {
		write(t, filepath.Join(root, "names", name), 100)
	}
	for i := range 500 {
		write(t, filepath.Join(root, "many", strconv.Itoa(i)), i)
	}
	require.NoError(t, os.Symlink("names/a.b", filepath.Join(root, "link")))
	require.NoError(t, os.Symlink("..", filepath.Join(root, "sizes", "circle")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600))
	return root, expect(t, root)
}

func write(t *testing.T, path string, n int) {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// expect is what the program should print for root, found out otherwise.
func expect(t *testing.T, root string) string {
	var paths []string
	require.NoError(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if info.Mode().IsRegular() {
			paths = append(paths, path)
		}
		return err
	}))
	slices.Sort(paths)
	var want strings.Builder
	for _, p := range paths {
		want.WriteString(expectLine(t, p))
	}
	return want.String()
}

func expectLine(t *testing.T, path string) string {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	escaped := strings.ReplaceAll(path, `\`, `\\`)
	escaped = strings.ReplaceAll(strings.ReplaceAll(escaped, "\n", `\n`), "\r", `\r`)
	if escaped != path {
		return fmt.Sprintf("\\%x  %s\n", sha256.Sum256(b), escaped)
	}
	return fmt.Sprintf("%x  %s\n", sha256.Sum256(b), path)
}

// same compares and shows the first difference only.
func same(t *testing.T, want, got string) {
	w, g := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := range min(len(w), len(g)) {
		require.Equal(t, w[i], g[i])
	}
	require.Equal(t, len(w), len(g))
}
