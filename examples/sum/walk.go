package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
)

// walker collects the paths of regular files.
type walker struct {
	ctx    context.Context
	con    *console
	files  []string
	failed bool
}

// walk returns the regular files under the paths, sorted bytewise, and whether
// there was anything that it could not look at.
func walk(ctx context.Context, paths []string, con *console) (files []string, failed bool) {
	w := &walker{ctx: ctx, con: con}
	for _, p := range paths {
		w.argument(p)
	}
	slices.Sort(w.files)
	return w.files, w.failed
}

var errKind = errors.New("not a regular file")

func (w *walker) argument(path string) {
	switch info, err := os.Stat(path); {
	case err != nil:
		w.fail(path, err)
	case info.IsDir():
		w.directory(path)
	case info.Mode().IsRegular():
		w.files = append(w.files, path)
	default:
		w.fail(path, errKind)
	}
}

// directory goes through a directory; links in it are not followed, and what is
// neither file nor directory is passed over. Names are joined as find does it:
// the argument stays as it was written.
func (w *walker) directory(path string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		w.fail(path, err)
	}
	prefix := strings.TrimSuffix(path, "/") + "/"
	for _, e := range entries {
		switch {
		case w.ctx.Err() != nil:
			return
		case e.IsDir():
			w.directory(prefix + e.Name())
		case e.Type().IsRegular():
			w.files = append(w.files, prefix+e.Name())
		}
	}
}

func (w *walker) fail(path string, err error) {
	w.failed = true
	w.con.fail(path, err)
}
