package blocking

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// directory is how far ReadDir has come. No operation reads directories, so the
// workers do, through package os.
type directory struct {
	mu    sync.Mutex // held while ReadDir waits
	file  *os.File
	begun bool
}

// rewind has ReadDir begin anew. It reports whether ReadDir was called before.
func (d *directory) rewind() (begun bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		_, _ = d.file.Seek(0, io.SeekStart)
	}
	return d.begun
}

func (d *directory) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		_ = d.file.Close()
		d.file = nil
	}
}

// ReadDir reads the entries of a directory (getdents64(2)), on one of the loop's
// workers: see fs.ReadDirFile. They are in the directory's order.
func (f *File) ReadDir(n int) ([]fs.DirEntry, error) {
	all, err := f.readDir(n)
	if err != nil && err != io.EOF {
		err = f.pathError("readdirent", err)
	}
	for i, e := range all {
		all[i] = dirEntry{e, f.net, filepath.Join(f.name, e.Name())}
	}
	return all, err
}

func (f *File) readDir(n int) (all []fs.DirEntry, err error) {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	if err := f.openDir(); err != nil {
		return nil, err
	}
	if e := f.net.work(func() { all, err = f.dir.file.ReadDir(n) }); e != nil {
		return nil, e
	}
	f.dir.begun = true
	return all, inner(err)
}

// openDir makes an os.File of the directory. It shares the kernel's position, which
// nobody else uses.
func (f *File) openDir() error {
	switch {
	case f.gate.isClosed():
		return os.ErrClosed
	case f.dir.file != nil:
		return nil
	}
	var fd int
	var err error
	if e := f.gate.use(func() { fd, err = duplicate(f.f.FD()) }); e != nil {
		return e
	}
	if err == nil {
		f.dir.file = os.NewFile(uintptr(fd), f.name)
	}
	return err
}

// work runs f on one of the loop's workers, and waits.
func (n *Net) work(f func()) error {
	w := n.waiter()
	defer w.free()
	w.op.Work(f)
	_, err := w.submit()
	return err
}

// inner takes a path error off: the caller puts his own on.
func inner(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.SyscallError:
		return e.Err
	}
	return err
}

// dirEntry is an entry that asks by the loop.
type dirEntry struct {
	fs.DirEntry
	net  *Net
	path string
}

// Info tells of the file behind the entry, of a symbolic link itself (statx(2)).
func (e dirEntry) Info() (fs.FileInfo, error) { return e.net.Lstat(e.path) }

// String formats the entry as package fs does.
func (e dirEntry) String() string { return fs.FormatDirEntry(e) }

// Stat tells of the file with a name, behind symbolic links (statx(2)). The error is a
// *fs.PathError.
func (n *Net) Stat(name string) (fs.FileInfo, error) { return n.stat("stat", name, n.loop.Stat) }

// Lstat is Stat of a symbolic link itself.
func (n *Net) Lstat(name string) (fs.FileInfo, error) { return n.stat("lstat", name, n.loop.Lstat) }

func (n *Net) stat(what, name string, verb func(string, func(*proactor.FileInfo, error)) (op.Ticket, error)) (fs.FileInfo, error) {
	var i *proactor.FileInfo
	err := n.verb(func(done func(error)) error {
		_, err := verb(name, func(got *proactor.FileInfo, err error) {
			i = got
			done(err)
		})
		return err
	})
	if err != nil {
		return nil, pathError(what, name, err)
	}
	return i, nil
}

// DirFS returns the tree of files below a directory as a file system, as os.DirFS does:
// symbolic links in it are followed, also to places outside of it. It is a
// fs.ReadFileFS, fs.ReadDirFS, fs.StatFS and fs.ReadLinkFS.
func (n *Net) DirFS(dir string) fs.FS { return dirFS{n, dir} }

type dirFS struct {
	net *Net
	dir string
}

var (
	_ fs.ReadFileFS = dirFS{}
	_ fs.ReadDirFS  = dirFS{}
	_ fs.StatFS     = dirFS{}
	_ fs.ReadLinkFS = dirFS{}
)

// path returns where a file of the tree is.
func (d dirFS) path(what, name string) (string, error) {
	if d.dir == "" {
		return "", &fs.PathError{Op: what, Path: name, Err: os.ErrInvalid}
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return "", &fs.PathError{Op: what, Path: name, Err: fs.ErrInvalid}
	}
	return filepath.Join(d.dir, local), nil
}

// inTree gives an error the name that the file has in the tree.
func inTree(err error, name string) error {
	if e, ok := err.(*fs.PathError); ok {
		e.Path = name
	}
	return err
}

// Open opens a file for reading; it is a *File.
func (d dirFS) Open(name string) (fs.File, error) {
	path, err := d.path("open", name)
	if err != nil {
		return nil, err
	}
	f, err := d.net.Open(path)
	if err != nil {
		return nil, inTree(err, name)
	}
	return f, nil
}

// ReadFile reads a whole file.
func (d dirFS) ReadFile(name string) ([]byte, error) {
	path, err := d.path("open", name)
	if err != nil {
		return nil, err
	}
	b, err := d.net.ReadFile(path)
	return b, inTree(err, name)
}

// ReadDir reads a directory, sorted by name.
func (d dirFS) ReadDir(name string) ([]fs.DirEntry, error) {
	path, err := d.path("open", name)
	if err != nil {
		return nil, err
	}
	all, err := d.net.ReadDir(path)
	return all, inTree(err, name)
}

// Stat tells of a file, behind symbolic links.
func (d dirFS) Stat(name string) (fs.FileInfo, error) { return d.stat("stat", name, d.net.Stat) }

// Lstat tells of a file, of a symbolic link itself.
func (d dirFS) Lstat(name string) (fs.FileInfo, error) { return d.stat("lstat", name, d.net.Lstat) }

func (d dirFS) stat(what, name string, ask func(string) (fs.FileInfo, error)) (fs.FileInfo, error) {
	path, err := d.path(what, name)
	if err != nil {
		return nil, err
	}
	i, err := ask(path)
	return i, inTree(err, name)
}

// ReadLink returns where a symbolic link leads.
func (d dirFS) ReadLink(name string) (to string, err error) {
	path, err := d.path("readlink", name)
	if err != nil {
		return "", err
	}
	if e := d.net.work(func() { to, err = os.Readlink(path) }); e != nil {
		err = pathError("readlink", name, e)
	}
	return to, inTree(err, name)
}

// ReadFile reads a whole file, as os.ReadFile does. The error is a *fs.PathError.
func (n *Net) ReadFile(name string) ([]byte, error) {
	f, err := n.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.f.Size()
	if err != nil || size > 1<<30 {
		size = 0 // it tells lies, as in /proc, or will be seen
	}
	b := make([]byte, 0, int(size)+512) // a little more: the end is seen at once
	for {
		k, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+k]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// ReadDir reads a directory, sorted by name, as os.ReadDir does, on one of the loop's
// workers. The error is a *fs.PathError, or that of Loop.Go.
func (n *Net) ReadDir(name string) (all []fs.DirEntry, err error) {
	if e := n.work(func() { all, err = os.ReadDir(name) }); e != nil {
		return nil, pathError("open", name, e)
	}
	for i, e := range all {
		all[i] = dirEntry{e, n, filepath.Join(name, e.Name())}
	}
	return all, err
}
