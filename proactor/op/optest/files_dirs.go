//go:build linux

package optest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// listed waits for the entries of a directory.
func (e *env) listed(name string) ([]fs.DirEntry, error) {
	e.Helper()
	return brought(e, func(d func([]fs.DirEntry, error)) (op.Ticket, error) { return e.loop.ReadDir(name, d) })
}

// crowd makes n names of files in a new directory.
func (e *env) crowd(n int) (dir string) {
	e.Helper()
	dir = e.TempDir()
	require.NoError(e, os.WriteFile(filepath.Join(dir, "0"), nil, 0o600))
	for i := 1; i < n; i++ { // links are made quicker than files
		require.NoError(e, os.Link(filepath.Join(dir, "0"), filepath.Join(dir, fmt.Sprint(i))))
	}
	return dir
}

func listing(e *env) {
	e.start()
	dir := e.crowd(many(10_000, 2000))
	require.NoError(e, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	require.NoError(e, os.Symlink("nowhere", filepath.Join(dir, "b")))
	want, err := os.ReadDir(dir)
	require.NoError(e, err)
	got, err := e.listed(dir)
	require.NoError(e, err)
	require.Equal(e, len(want), len(got))
	for i := range want {
		require.Equal(e, want[i].Name(), got[i].Name())
		require.Equal(e, want[i].Type(), got[i].Type())
	}
	for _, name := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "0"), "a\x00b", ""} {
		_, want := os.ReadDir(name)
		require.Error(e, want)
		_, err = e.listed(name)
		require.Equal(e, want, err)
	}
	got, err = e.listed(filepath.Join(dir, "a"))
	require.NoError(e, err)
	require.Empty(e, got)
}

// Entries that others remove are there or not; those that stay are there once.
func listingMeanwhile(e *env) {
	e.start()
	const n = 2000
	dir := e.crowd(n)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for i := 0; i < n; i += 2 {
			_ = os.Remove(filepath.Join(dir, fmt.Sprint(i)))
		}
	}()
	for i, over := 0, false; !over; i++ {
		if i == 20 {
			<-gone // on one processor, who removes could wait for who lists for minutes
		}
		select {
		case <-gone:
			over = true // one more, after the last
		default:
		}
		all, err := e.listed(dir)
		require.NoError(e, err)
		stay := 0
		seen := map[string]bool{}
		for _, x := range all {
			require.False(e, seen[x.Name()], x.Name())
			seen[x.Name()] = true
			if strings.ContainsAny(x.Name()[len(x.Name())-1:], "13579") {
				stay++
			} else if _, err := x.Info(); err != nil {
				require.ErrorIs(e, err, fs.ErrNotExist)
			}
		}
		require.Equal(e, n/2, stay)
	}
}

func getdents(e *env) {
	e.start()
	dir := e.crowd(500)
	h := e.register(unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	var names []string
	b := make([]byte, 1024)
	for {
		n, err := e.do(func(o *op.Op) *op.Op { return o.Getdents(h, b) })
		require.NoError(e, err)
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(b[:n], -1, names)
	}
	all, err := os.ReadDir(dir)
	require.NoError(e, err)
	slices.Sort(names)
	require.Equal(e, len(all), len(names))
	for i, x := range all {
		require.Equal(e, x.Name(), names[i])
	}
}
