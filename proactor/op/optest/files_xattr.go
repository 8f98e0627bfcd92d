//go:build linux

package optest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// xattrName is an attribute that a file's owner may set.
const xattrName = "user.proactor"

// attributeDir returns a directory on a file system that has attributes, and the name
// of one that may be set there.
func (e *env) attributeDir() (dir, name string) {
	e.Helper()
	for _, parent := range []string{"", "/var/tmp", "/dev/shm"} {
		dir = e.TempDir()
		if parent != "" {
			var err error
			if dir, err = os.MkdirTemp(parent, "proactor"); err != nil {
				continue
			}
			e.Cleanup(func() { os.RemoveAll(dir) })
		}
		if unix.Setxattr(dir, xattrName, nil, 0) == nil {
			return dir, xattrName
		}
	}
	return fmt.Sprint("/proc/self/fd/", e.smallDisk("size=1m")), "trusted.proactor"
}

// attributeFile returns an open file that can have attributes, its path, and the name
// of an attribute.
func (e *env) attributeFile() (f *proactor.File, path, name string) {
	e.Helper()
	dir, name := e.attributeDir()
	path = filepath.Join(dir, "file")
	return openFile(e, path, os.O_RDWR|os.O_CREATE), path, name
}

// attributeDeeds adds the operations on attributes.
func attributeDeeds(e *env, all map[op.Code]deed) {
	e.Helper()
	dir, name := e.attributeDir()
	n := 0
	file := func() string {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		require.NoError(e, os.WriteFile(path, nil, 0o600))
		require.NoError(e, unix.Setxattr(path, name, []byte("x"), 0))
		return path
	}
	one := file()
	h := e.register(unix.Open(one, unix.O_RDONLY|unix.O_CLOEXEC, 0))
	all[op.Getxattr] = func(o *op.Op) *op.Op { return o.Getxattr(one, name, make([]byte, 8)) }
	all[op.Setxattr] = func(o *op.Op) *op.Op { return o.Fsetxattr(h, name, []byte("y"), 0) }
	all[op.Listxattr] = func(o *op.Op) *op.Op { return o.Flistxattr(h, make([]byte, 1024)) }
	all[op.Removexattr] = func(o *op.Op) *op.Op { return o.Removexattr(file(), name) }
}

// brought waits for what a closure verb brings.
func brought[T any](e *env, f func(func(T, error)) (op.Ticket, error)) (v T, err error) {
	e.Helper()
	err = plain(e, func(done func(error)) error {
		_, err := f(func(x T, err error) { v = x; done(err) })
		return err
	})
	return v, err
}

// attributed are the closure verbs on attributes of one file.
type attributed struct {
	get    func(name string, done func([]byte, error)) (op.Ticket, error)
	set    func(name string, value []byte, flags int, done func(error)) (op.Ticket, error)
	list   func(done func([]string, error)) (op.Ticket, error)
	remove func(name string, done func(error)) (op.Ticket, error)
}

// byPathAndHandle returns the two ways to a file's attributes, and the name of one.
func (e *env) byPathAndHandle() (path, attribute string, ways map[string]attributed) {
	e.Helper()
	f, path, attribute := e.attributeFile()
	l := e.loop
	return path, attribute, map[string]attributed{
		"path": {
			func(name string, done func([]byte, error)) (op.Ticket, error) { return l.Getxattr(path, name, done) },
			func(name string, value []byte, flags int, done func(error)) (op.Ticket, error) {
				return l.Setxattr(path, name, value, flags, done)
			},
			func(done func([]string, error)) (op.Ticket, error) { return l.Listxattr(path, done) },
			func(name string, done func(error)) (op.Ticket, error) { return l.Removexattr(path, name, done) },
		},
		"handle": {f.Getxattr, f.Setxattr, f.Listxattr, f.Removexattr},
	}
}

func (a attributed) value(e *env, name string) ([]byte, error) {
	e.Helper()
	return brought(e, func(d func([]byte, error)) (op.Ticket, error) { return a.get(name, d) })
}

func (a attributed) put(e *env, name string, value []byte, flags int) error {
	e.Helper()
	return ends(e, func(d func(error)) (op.Ticket, error) { return a.set(name, value, flags, d) })
}

func (a attributed) drop(e *env, name string) error {
	e.Helper()
	return ends(e, func(d func(error)) (op.Ticket, error) { return a.remove(name, d) })
}

func attributes(e *env) {
	e.start()
	path, name, ways := e.byPathAndHandle()
	for way, a := range ways {
		_, err := a.value(e, name)
		require.Equal(e, &fs.PathError{Op: "getxattr", Path: path, Err: syscall.ENODATA}, err, way)
		all, err := brought(e, a.list)
		require.NoError(e, err)
		require.NotContains(e, all, name) // a system may have its own on all files
		require.ErrorIs(e, a.put(e, name, []byte("x"), unix.XATTR_REPLACE), syscall.ENODATA)
		require.NoError(e, a.put(e, name, []byte("value"), unix.XATTR_CREATE))
		require.Equal(e, &fs.PathError{Op: "setxattr", Path: path, Err: syscall.EEXIST},
			a.put(e, name, []byte("x"), unix.XATTR_CREATE))
		require.NoError(e, a.put(e, name+"2", nil, 0))
		v, err := a.value(e, name)
		require.NoError(e, err)
		require.Equal(e, "value", string(v))
		v, err = a.value(e, name+"2")
		require.NoError(e, err)
		require.Empty(e, v)
		all, err = brought(e, a.list)
		require.NoError(e, err)
		require.Subset(e, all, []string{name, name + "2"})
		require.NotContains(e, all, "")
		require.NoError(e, a.drop(e, name))
		require.NoError(e, a.drop(e, name+"2"))
		require.Equal(e, &fs.PathError{Op: "removexattr", Path: path, Err: syscall.ENODATA}, a.drop(e, name))
	}
	_, err := brought(e, func(d func([]string, error)) (op.Ticket, error) { return e.loop.Listxattr(path+"/x", d) })
	require.Equal(e, &fs.PathError{Op: "listxattr", Path: path + "/x", Err: syscall.ENOTDIR}, err)
	_, err = e.loop.Getxattr(path, "user.a\x00b", nil)
	require.ErrorIs(e, err, op.ErrInvalid)
}

// A value that is longer than the first try's memory comes whole.
func longAttributes(e *env) {
	e.start()
	path, name, ways := e.byPathAndHandle()
	for way, a := range ways {
		for _, n := range []int{255, 256, 257, 3000} {
			value := pattern(n, n)
			err := a.put(e, name, value, 0)
			if n > 1000 && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.E2BIG)) {
				continue // of a file system with little room for them
			}
			require.NoError(e, err)
			v, err := a.value(e, name)
			require.NoError(e, err, way)
			require.True(e, bytes.Equal(value, v), "%s: %d bytes", way, n)
		}
	}
	for i := range 20 { // together their names are longer than that, too
		require.NoError(e, unix.Setxattr(path, name+string(rune('a'+i)), nil, 0))
	}
	for _, a := range ways {
		all, err := brought(e, a.list)
		require.NoError(e, err)
		require.GreaterOrEqual(e, len(all), 21)
	}
}

func rawAttributes(e *env) {
	e.start()
	f, path, name := e.attributeFile()
	do := func(prepare func(o *op.Op) *op.Op) (int, error) { e.Helper(); return e.do(prepare) }
	n, err := do(func(o *op.Op) *op.Op { return o.Setxattr(path, name, []byte("12345"), 0) })
	require.NoError(e, err)
	require.Zero(e, n)
	b := make([]byte, 8)
	for _, get := range []func(o *op.Op, b []byte) *op.Op{
		func(o *op.Op, b []byte) *op.Op { return o.Getxattr(path, name, b) },
		func(o *op.Op, b []byte) *op.Op { return o.Fgetxattr(f, name, b) },
	} {
		n, err = do(func(o *op.Op) *op.Op { return get(o, b) })
		require.NoError(e, err)
		require.Equal(e, "12345", string(b[:n]))
		n, err = do(func(o *op.Op) *op.Op { return get(o, nil) })
		require.NoError(e, err)
		require.Equal(e, 5, n, "without memory its length is the result")
		_, err = do(func(o *op.Op) *op.Op { return get(o, b[:4]) })
		require.ErrorIs(e, err, syscall.ERANGE)
	}
	n, err = do(func(o *op.Op) *op.Op { return o.Flistxattr(f, nil) })
	require.NoError(e, err)
	list := make([]byte, n)
	n, err = do(func(o *op.Op) *op.Op { return o.Listxattr(path, list) })
	require.NoError(e, err)
	require.Contains(e, string(list[:n]), name+"\x00")
	_, err = do(func(o *op.Op) *op.Op { return o.Fremovexattr(f, name) })
	require.NoError(e, err)
	_, err = do(func(o *op.Op) *op.Op { return o.Removexattr(path, name) })
	require.ErrorIs(e, err, syscall.ENODATA)
}
