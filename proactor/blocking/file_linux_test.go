package blocking_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDirFSIsAFileSystem(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(dir+"/a/b/c", 0o755))
		require.NoError(t, os.Mkdir(dir+"/empty", 0o755))
		for name, size := range map[string]int{"none": 0, "a/one": 1, "a/b/long": 5000, "a/b/c/x": 10} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), pattern(0, size), 0o644))
		}
		require.NoError(t, os.Symlink("one", dir+"/a/link"))
		fsys := n.DirFS(dir)
		require.NoError(t, fstest.TestFS(fsys, "none", "a/one", "a/link", "a/b/long", "a/b/c/x", "empty"))

		info, err := fs.Stat(fsys, "a/link")
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular())
		info, err = fs.Lstat(fsys, "a/link")
		require.NoError(t, err)
		require.Equal(t, fs.ModeSymlink, info.Mode().Type())
		for _, bad := range []string{"/a", "../a", "a/../a", "", "a\x00"} {
			_, err := fsys.Open(bad)
			require.ErrorIs(t, err, fs.ErrInvalid, bad)
		}
		for what, f := range map[string]func(string) error{
			"open":     func(name string) error { _, err := fsys.Open(name); return err },
			"readdir":  func(name string) error { _, err := fs.ReadDir(fsys, name); return err },
			"readfile": func(name string) error { _, err := fs.ReadFile(fsys, name); return err },
			"stat":     func(name string) error { _, err := fs.Stat(fsys, name); return err },
			"readlink": func(name string) error { _, err := fs.ReadLink(fsys, name); return err },
		} {
			err := f("a/nothing")
			require.ErrorIs(t, err, fs.ErrNotExist, what)
			var e *fs.PathError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "a/nothing", e.Path, what)
		}
		_, err = n.DirFS("").Open(".")
		require.ErrorIs(t, err, os.ErrInvalid)
	})
}

func TestAFileReadsAsReadersDo(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		name := t.TempDir() + "/file"
		content := pattern(0, 5000)
		require.NoError(t, os.WriteFile(name, content, 0o644))
		f, err := n.Open(name)
		require.NoError(t, err)
		require.Equal(t, name, f.Name())
		require.NoError(t, iotest.TestReader(f, content))
		_, err = f.Seek(1000, io.SeekStart)
		require.NoError(t, err)
		var rest bytes.Buffer
		k, err := io.Copy(&rest, f)
		require.NoError(t, err)
		require.EqualValues(t, len(content)-1000, k)
		require.True(t, bytes.Equal(content[1000:], rest.Bytes()))
		require.NoError(t, f.Close())
		all, err := n.ReadFile(name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, all))
		status, err := n.ReadFile("/proc/self/status")
		require.NoError(t, err)
		require.Contains(t, string(status), "Name:", "a file that says its size is 0")
	})
}

func TestAFileIsWritten(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		name := t.TempDir() + "/file"
		f, err := n.Create(name)
		require.NoError(t, err)
		_, err = f.WriteString("hello ")
		require.NoError(t, err)
		k, err := f.ReadFrom(strings.NewReader("world"))
		require.NoError(t, err)
		require.EqualValues(t, 5, k)
		_, err = f.WriteAt([]byte("J"), 0)
		require.NoError(t, err)
		at, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 11, at, "WriteAt moves no position")
		require.NoError(t, f.Sync())
		require.NoError(t, f.Truncate(7))
		info, err := f.Stat()
		require.NoError(t, err)
		require.EqualValues(t, 7, info.Size())
		require.Equal(t, "file", info.Name())
		require.IsType(t, new(proactor.Statx), info.Sys())
		at, err = f.Seek(-2, io.SeekEnd)
		require.NoError(t, err)
		require.EqualValues(t, 5, at)
		_, err = f.Write([]byte("!!!"))
		require.NoError(t, err)
		require.NoError(t, f.Close())

		f, err = n.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = f.Write([]byte("end"))
		require.NoError(t, err)
		at, err = f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 11, at)
		_, err = f.WriteAt([]byte("x"), 0)
		require.Error(t, err)
		require.NoError(t, f.Close())
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, "Jello!!!end", string(b))

		f, err = n.OpenFile(t.TempDir()+"/new", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600|fs.ModeSticky)
		require.NoError(t, err)
		info, err = f.Stat()
		require.NoError(t, err)
		require.Equal(t, 0o600|fs.ModeSticky, info.Mode())
		require.NoError(t, f.Close())
	})
}

func TestManyMayUseAFileAtOnce(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		f, err := n.Create(t.TempDir() + "/file")
		require.NoError(t, err)
		const pieces, piece = 64, 5000
		var all sync.WaitGroup
		for i := range pieces {
			all.Go(func() {
				if _, err := f.WriteAt(pattern(i*piece, piece), int64(i*piece)); err != nil {
					t.Error(err)
				}
				b := make([]byte, piece)
				if _, err := f.ReadAt(b, int64(i*piece)); err != nil {
					t.Error(err)
				} else if !bytes.Equal(b, pattern(i*piece, piece)) {
					t.Error("not what was written")
				}
			})
		}
		all.Wait()
		require.NoError(t, readPattern(f, pieces*piece))
		require.NoError(t, f.Close())
	})
}

// anyFile is what *os.File and *File have in common.
type anyFile interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.WriterAt
	io.Closer
	ReadDir(int) ([]fs.DirEntry, error)
	Sync() error
	Truncate(int64) error
	Stat() (fs.FileInfo, error)
	SetDeadline(time.Time) error
}

func TestErrorsAreThoseOfPackageOS(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/file", []byte("content"), 0o644))
	trouble := map[string]func(open func(string, int) (anyFile, error)) error{
		"open none": func(open func(string, int) (anyFile, error)) error {
			_, err := open(dir+"/none", os.O_RDONLY)
			return err
		},
		"open twice": func(open func(string, int) (anyFile, error)) error {
			_, err := open(dir+"/file", os.O_CREATE|os.O_EXCL)
			return err
		},
		"open a NUL":  func(open func(string, int) (anyFile, error)) error { _, err := open("a\x00b", os.O_RDONLY); return err },
		"write a dir": func(open func(string, int) (anyFile, error)) error { _, err := open(dir, os.O_RDWR); return err },
	}
	on := func(name string, flags int, f func(anyFile) error) func(func(string, int) (anyFile, error)) error {
		return func(open func(string, int) (anyFile, error)) error {
			k, err := open(name, flags)
			if err != nil {
				return errors.New("not opened")
			}
			defer k.Close()
			return f(k)
		}
	}
	file := func(f func(anyFile) error) func(func(string, int) (anyFile, error)) error {
		return on(dir+"/file", os.O_RDONLY, f)
	}
	closed := func(f func(anyFile) error) func(func(string, int) (anyFile, error)) error {
		return on(dir+"/file", os.O_RDWR, func(k anyFile) error { k.Close(); return f(k) })
	}
	b := make([]byte, 1)
	trouble["write what is read only"] = file(func(f anyFile) error { _, err := f.Write(b); return err })
	trouble["end"] = file(func(f anyFile) error { f.Seek(0, io.SeekEnd); _, err := f.Read(b); return err })
	trouble["a read across the end"] = file(func(f anyFile) error { _, err := f.ReadAt(make([]byte, 100), 5); return err })
	trouble["a negative offset"] = file(func(f anyFile) error { _, err := f.ReadAt(b, -1); return err })
	trouble["a negative offset of a write"] = on(dir+"/file", os.O_WRONLY, func(f anyFile) error { _, err := f.WriteAt(b, -1); return err })
	trouble["a seek before the beginning"] = file(func(f anyFile) error { _, err := f.Seek(-1, io.SeekStart); return err })
	trouble["a seek from nowhere"] = file(func(f anyFile) error { _, err := f.Seek(0, 9); return err })
	trouble["truncate"] = file(func(f anyFile) error { return f.Truncate(1) })
	trouble["truncate below zero"] = on(dir+"/file", os.O_WRONLY, func(f anyFile) error { return f.Truncate(-1) })
	trouble["a deadline"] = file(func(f anyFile) error { return f.SetDeadline(past) })
	trouble["a file as a directory"] = file(func(f anyFile) error { _, err := f.ReadDir(0); return err })
	trouble["a directory as a file"] = on(dir, os.O_RDONLY, func(f anyFile) error { _, err := f.Read(b); return err })
	trouble["a directory to its end"] = on(dir, os.O_RDONLY, func(f anyFile) error { f.ReadDir(0); _, err := f.ReadDir(1); return err })
	trouble["read after close"] = closed(func(f anyFile) error { _, err := f.Read(b); return err })
	trouble["read at after close"] = closed(func(f anyFile) error { _, err := f.ReadAt(b, 0); return err })
	trouble["write after close"] = closed(func(f anyFile) error { _, err := f.Write(b); return err })
	trouble["seek after close"] = closed(func(f anyFile) error { _, err := f.Seek(0, 0); return err })
	trouble["sync after close"] = closed(func(f anyFile) error { return f.Sync() })
	trouble["stat after close"] = closed(func(f anyFile) error { _, err := f.Stat(); return err })
	trouble["close after close"] = closed(func(f anyFile) error { return f.Close() })
	for name, make := range trouble {
		t.Run(name, func(t *testing.T) {
			theirs := make(func(name string, flags int) (anyFile, error) { return os.OpenFile(name, flags, 0o600) })
			require.Error(t, theirs)
			bothEngines(t, func(t *testing.T, n *blocking.Net) {
				ours := make(func(name string, flags int) (anyFile, error) { return n.OpenFile(name, flags, 0o600) })
				require.Equal(t, fileShape(theirs), fileShape(ours))
			})
		})
	}
}

func fileShape(err error) map[string]any {
	s := map[string]any{"type": fmt.Sprintf("%T", err), "text": err.Error()}
	for name, e := range map[string]error{"EOF": io.EOF, "closed": os.ErrClosed, "not exist": fs.ErrNotExist, "exist": fs.ErrExist, "no deadline": os.ErrNoDeadline} {
		s[name] = errors.Is(err, e)
	}
	return s
}

func TestAFIFOWaitsAndHasDeadlines(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		name := t.TempDir() + "/fifo"
		require.NoError(t, unix.Mkfifo(name, 0o600))
		both, err := n.OpenFile(name, os.O_RDWR, 0) // so that the next don't wait for a peer
		require.NoError(t, err)
		r, err := n.Open(name)
		require.NoError(t, err)
		w, err := n.OpenFile(name, os.O_WRONLY, 0)
		require.NoError(t, err)
		require.NoError(t, both.Close())
		_, err = r.Seek(0, io.SeekStart)
		require.ErrorIs(t, err, unix.ESPIPE)
		read := async(func() error {
			b := make([]byte, 8)
			k, err := r.Read(b)
			if err == nil && string(b[:k]) != "hello" {
				err = errors.New("it read " + string(b[:k]))
			}
			return err
		})
		blocked(t, n, 1)
		_, err = w.WriteString("hello")
		require.NoError(t, err)
		require.NoError(t, got(t, read))

		require.NoError(t, r.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		wrote := async(func() error {
			_, err := w.Write(make([]byte, 1<<20))
			return err
		})
		blocked(t, n, 1)
		require.NoError(t, w.SetWriteDeadline(past))
		require.ErrorIs(t, got(t, wrote), os.ErrDeadlineExceeded)
		require.NoError(t, w.Close())
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err)

		w, err = n.OpenFile(name, os.O_WRONLY, 0) // so that there is something to wait for
		require.NoError(t, err)
		read = async(func() error {
			_, err := r.Read(make([]byte, 1))
			return err
		})
		blocked(t, n, 1)
		require.NoError(t, r.Close())
		require.ErrorIs(t, got(t, read), os.ErrClosed)
		require.NoError(t, w.Close())
	})
}

func TestReadDirGoesOnWhereItWas(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		dir := t.TempDir()
		for i := range 10 {
			require.NoError(t, os.WriteFile(fmt.Sprint(dir, "/", i), make([]byte, i), 0o600))
		}
		d, err := n.Open(dir)
		require.NoError(t, err)
		for range 2 {
			var names []string
			for {
				some, err := d.ReadDir(3)
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				for _, e := range some {
					info, err := e.Info()
					require.NoError(t, err)
					require.Equal(t, e.Name(), fmt.Sprint(info.Size()))
					names = append(names, e.Name())
				}
			}
			slices.Sort(names)
			require.Equal(t, strings.Split("0 1 2 3 4 5 6 7 8 9", " "), names)
			_, err = d.Seek(0, io.SeekStart)
			require.NoError(t, err)
		}
		require.NoError(t, d.Close())
		_, err = d.ReadDir(1)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}
