package proactor

import (
	"errors"
	"strings"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// An attribute, and the names of all, is mostly short; the kernel allows so much.
const (
	attributeSize    = 256
	attributeSizeMax = 64 << 10
)

// Getxattr brings the value of an extended attribute of the file with a path, behind
// symbolic links (getxattr(2)). The value is the callback's. ENODATA: the file has no
// such attribute. ENOTSUP: the file system has none of its kind. The ticket is of the
// first try, with little memory. Any goroutine may call it.
func (l *Loop) Getxattr(path, name string, done func([]byte, error)) (op.Ticket, error) {
	return l.attribute(place{verb: "getxattr", name: path}, func(o *op.Op, b []byte) { o.Getxattr(path, name, b) }, done)
}

// Setxattr sets an extended attribute of the file with a path, behind symbolic links;
// flags are XATTR_CREATE, XATTR_REPLACE or 0 (setxattr(2)). The value is the loop's
// until done. Any goroutine may call it.
func (l *Loop) Setxattr(path, name string, value []byte, flags int, done func(error)) (op.Ticket, error) {
	return l.callAt(place{verb: "setxattr", name: path}, func(o *op.Op) { o.Setxattr(path, name, value, flags) }, done)
}

// Listxattr brings the names of the extended attributes of the file with a path, behind
// symbolic links (listxattr(2)). The ticket is of the first try, with little memory.
// Any goroutine may call it.
func (l *Loop) Listxattr(path string, done func([]string, error)) (op.Ticket, error) {
	return l.attribute(place{verb: "listxattr", name: path}, func(o *op.Op, b []byte) { o.Listxattr(path, b) }, names(done))
}

// Removexattr removes an extended attribute of the file with a path, behind symbolic
// links (removexattr(2)). ENODATA: the file has no such attribute. Any goroutine may
// call it.
func (l *Loop) Removexattr(path, name string, done func(error)) (op.Ticket, error) {
	return l.callAt(place{verb: "removexattr", name: path}, func(o *op.Op) { o.Removexattr(path, name) }, done)
}

// Getxattr is Loop.Getxattr of the file (fgetxattr(2)).
func (f *File) Getxattr(name string, done func([]byte, error)) (op.Ticket, error) {
	return f.loop.attribute(f.at("getxattr"), func(o *op.Op, b []byte) { o.Fgetxattr(f, name, b) }, done)
}

// Setxattr is Loop.Setxattr of the file (fsetxattr(2)).
func (f *File) Setxattr(name string, value []byte, flags int, done func(error)) (op.Ticket, error) {
	return f.loop.callAt(f.at("setxattr"), func(o *op.Op) { o.Fsetxattr(f, name, value, flags) }, done)
}

// Listxattr is Loop.Listxattr of the file (flistxattr(2)).
func (f *File) Listxattr(done func([]string, error)) (op.Ticket, error) {
	return f.loop.attribute(f.at("listxattr"), func(o *op.Op, b []byte) { o.Flistxattr(f, b) }, names(done))
}

// Removexattr is Loop.Removexattr of the file (fremovexattr(2)).
func (f *File) Removexattr(name string, done func(error)) (op.Ticket, error) {
	return f.loop.callAt(f.at("removexattr"), func(o *op.Op) { o.Fremovexattr(f, name) }, done)
}

// attribute submits what reads into memory of a size that nobody knows before.
func (l *Loop) attribute(at place, prepare func(*op.Op, []byte), done func([]byte, error)) (op.Ticket, error) {
	return l.attributeIn(make([]byte, attributeSize), at, prepare, done)
}

func (l *Loop) attributeIn(b []byte, at place, prepare func(*op.Op, []byte), done func([]byte, error)) (op.Ticket, error) {
	k, err := l.calls.get(l, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.at = at
	k.f = func(n int, err error) {
		if errors.Is(err, syscall.ERANGE) && len(b) < attributeSizeMax {
			if _, err = l.attributeIn(make([]byte, attributeSizeMax), at, prepare, done); err == nil {
				return
			}
		}
		if err != nil {
			done(nil, err)
			return
		}
		done(b[:n], nil)
	}
	prepare(&k.op, b)
	return k.send(0)
}

// names cuts a list apart, in which each name ends with a NUL.
func names(done func([]string, error)) func([]byte, error) {
	return func(b []byte, err error) {
		all := strings.Split(string(b), "\x00")
		done(all[:len(all)-1], err)
	}
}
