package proactor_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
)

// A source tree, read by chains of open, read and close, many at a time, is what
// sha256sum(1) says it is.
func TestChainsReadATree(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip(err)
	}
	const root = ".."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Skip("the tests' own sources are not here: ", err)
	}
	sizes := map[string]int64{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		i, err := d.Info()
		sizes[path] = i.Size()
		return err
	}))
	names := slices.Sorted(maps.Keys(sizes))
	require.Greater(t, len(names), 100)
	cmd := exec.Command("sha256sum")
	cmd.Args = append(cmd.Args, names...)
	want, err := cmd.Output()
	require.NoError(t, err)
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		sums := readTree(t, l, sizes, names)
		var all strings.Builder
		for _, n := range names {
			fmt.Fprintf(&all, "%x  %s\n", sums[n], n)
		}
		require.Equal(t, string(want), all.String())
		require.Zero(t, l.Stats().Handles)
	})
}

// readTree has a few dozen chains under way.
func readTree(t *testing.T, l *proactor.Loop, sizes map[string]int64, names []string) map[string][sha256.Size]byte {
	sums, end := map[string][sha256.Size]byte{}, make(chan error, 1)
	left, next := len(names), 0
	var one func()
	one = func() {
		if next == len(names) {
			return
		}
		name := names[next]
		next++
		h, buf := new(proactor.Handle), make([]byte, sizes[name])
		var open, read, shut proactor.Op
		fail := func(o *proactor.Op) {
			if _, err := o.Result(); err != nil {
				end <- fmt.Errorf("%s: %w", name, err)
			}
		}
		open.Done, read.Done = fail, fail
		shut.Done = func(o *proactor.Op) {
			fail(o)
			sums[name] = sha256.Sum256(bytes.Clone(buf))
			if left--; left == 0 {
				end <- nil
			}
			one()
		}
		_, err := l.Chain(open.OpenInto(h, nil, name, 0, 0), read.ReadAt(h, buf, 0).HardLink(), shut.Close(h, -1))
		if err != nil {
			end <- err
		}
	}
	require.NoError(t, l.Post(func() {
		for range 32 {
			one()
		}
	}))
	require.NoError(t, got(t, end))
	return sums
}
