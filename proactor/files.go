package proactor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Statx is what the kernel tells of a file (statx(2)).
type Statx = op.Statx

// FileInfo is a fs.FileInfo with all that the kernel has told.
type FileInfo struct {
	Statx Statx
	name  string
}

var _ fs.FileInfo = (*FileInfo)(nil)

// Name returns the last part of the path.
func (i *FileInfo) Name() string { return i.name }

// Size returns the length of a regular file in bytes.
func (i *FileInfo) Size() int64 { return i.Statx.Size() }

// Mode returns type and permissions.
func (i *FileInfo) Mode() fs.FileMode { return i.Statx.Mode() }

// ModTime returns when the contents were changed last.
func (i *FileInfo) ModTime() time.Time { return i.Statx.Mtime.Time() }

// IsDir reports whether it is a directory.
func (i *FileInfo) IsDir() bool { return i.Mode().IsDir() }

// Sys returns the *Statx.
func (i *FileInfo) Sys() any { return &i.Statx }

const (
	atSymlinkNofollow = 0x100
	atRemoveDir       = 0x200
	atEmptyPath       = 0x1000
)

// Stat tells of the file with a name, behind symbolic links (statx(2)). Any
// goroutine may call it.
func (l *Loop) Stat(name string, done func(*FileInfo, error)) (op.Ticket, error) {
	return l.stat(nil, name, place{verb: "stat", name: name}, 0, done)
}

// Lstat is Stat of a symbolic link itself.
func (l *Loop) Lstat(name string, done func(*FileInfo, error)) (op.Ticket, error) {
	return l.stat(nil, name, place{verb: "lstat", name: name}, atSymlinkNofollow, done)
}

// Stat tells of the file (statx(2)).
func (f *File) Stat(done func(*FileInfo, error)) (op.Ticket, error) {
	return f.loop.stat(f, "", f.at("stat"), atEmptyPath, done)
}

func (l *Loop) stat(dir op.Target, path string, at place, flags int, done func(*FileInfo, error)) (op.Ticket, error) {
	i := &FileInfo{name: filepath.Base(at.name)}
	return l.callAt(at, func(o *op.Op) { o.Statx(dir, path, flags, 0, &i.Statx) }, func(err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(i, nil)
	})
}

// call submits an operation whose result is whether it failed.
func (l *Loop) call(prepare func(*op.Op), done func(error)) (op.Ticket, error) {
	return l.callAt(place{}, prepare, done)
}

// callAt is call with errors that say what was done where.
func (l *Loop) callAt(at place, prepare func(*op.Op), done func(error)) (op.Ticket, error) {
	k, err := l.calls.get(l, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f, k.at = done, at
	prepare(&k.op)
	return k.send(0)
}

// Remove removes a file or an empty directory (unlinkat(2)). The ticket is of the first
// try, as a file. Any goroutine may call it.
func (l *Loop) Remove(name string, done func(error)) (op.Ticket, error) {
	at := place{verb: "remove", name: name}
	return l.callAt(at, func(o *op.Op) { o.UnlinkAt(nil, name, 0) }, func(err error) {
		if errors.Is(err, syscall.EISDIR) {
			if _, err = l.callAt(at, func(o *op.Op) { o.UnlinkAt(nil, name, atRemoveDir) }, done); err == nil {
				return
			}
		}
		if done != nil {
			done(err)
		}
	})
}

// Rename gives a file another name, in place of the file that has it (renameat2(2)).
// Any goroutine may call it.
func (l *Loop) Rename(from, to string, done func(error)) (op.Ticket, error) {
	return l.callAt(place{verb: "rename", name: from, to: to, two: true}, func(o *op.Op) { o.RenameAt(nil, from, nil, to, 0) }, done)
}

// Mkdir makes a directory (mkdirat(2)), with the permissions of mode less those of the
// process's umask. Any goroutine may call it.
func (l *Loop) Mkdir(name string, mode uint32, done func(error)) (op.Ticket, error) {
	return l.callAt(place{verb: "mkdir", name: name}, func(o *op.Op) { o.MkdirAt(nil, name, mode) }, done)
}

// Link gives a file one more name (linkat(2)). Any goroutine may call it.
func (l *Loop) Link(from, to string, done func(error)) (op.Ticket, error) {
	return l.callAt(place{verb: "link", name: from, to: to, two: true}, func(o *op.Op) { o.LinkAt(nil, from, nil, to, 0) }, done)
}

// Symlink makes a symbolic link that leads to target (symlinkat(2)). Any goroutine
// may call it.
func (l *Loop) Symlink(target, name string, done func(error)) (op.Ticket, error) {
	return l.callAt(place{verb: "symlink", name: target, to: name, two: true}, func(o *op.Op) { o.SymlinkAt(target, nil, name) }, done)
}

// ReadDir lists a directory as os.ReadDir does, sorted by name, on one of the loop's
// workers. Done gets what was read even if there is an error. Any goroutine may call
// it.
func (l *Loop) ReadDir(name string, done func([]fs.DirEntry, error)) (op.Ticket, error) {
	var all []fs.DirEntry
	var failed error
	list := func() { all, failed = os.ReadDir(name) }
	return l.callAt(place{verb: "open", name: name}, func(o *op.Op) { o.Work(list) }, func(err error) {
		if err == nil {
			err = failed
		}
		done(all, err)
	})
}

// Truncate makes the file size bytes long (ftruncate(2)).
func (f *File) Truncate(size int64, done func(error)) (op.Ticket, error) {
	return f.loop.callAt(f.at("truncate"), func(o *op.Op) { o.Ftruncate(f, size) }, done)
}

// Allocate makes room on the disk for n bytes from the offset on, and the file as
// long as that if it is shorter (fallocate(2)).
func (f *File) Allocate(off, n int64, done func(error)) (op.Ticket, error) {
	return f.loop.callAt(f.at("allocate"), func(o *op.Op) { o.Fallocate(f, 0, off, n) }, done)
}
