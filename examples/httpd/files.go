package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

const (
	maxKept  = 16 << 10 // bytes of a file that is kept in memory
	maxFiles = 1024     // are known at once, kept or open
)

// file is a regular file as it was when it was last looked at.
type file struct {
	from  *proactor.File // nil if it is kept in bytes
	bytes []byte
	size  int64
	id    identity

	modified     time.Time // in whole seconds, as clients see it
	lastModified string
	etag         string
	typeField    string // Content-Type
	validators   string // Last-Modified and ETag
	whole        string // the fields of a 200

	checked int64 // when it was last looked at, on the worker's clock
	users   int   // the cache, if it knows the file, is one of them
}

// identity tells a file, and a state of its contents, from others.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // ns since 1970
	mode         fs.FileMode
}

// describe makes what answers say of the file.
func (f *file) describe(contentType string) {
	f.modified = time.Unix(0, f.id.mtime).UTC().Truncate(time.Second)
	f.lastModified = f.modified.Format(http.TimeFormat)
	f.etag = fmt.Sprintf(`"%x-%x"`, f.id.mtime, f.size)
	f.typeField = "Content-Type: " + contentType + "\r\n"
	f.validators = "Last-Modified: " + f.lastModified + "\r\nETag: " + f.etag + "\r\n"
	f.whole = f.typeField + f.validators + "Accept-Ranges: bytes\r\nContent-Length: " + fmt.Sprint(f.size) + "\r\n"
}

// files are the files that a worker knows, by the clean path of their requests.
type files struct {
	worker *worker
	known  map[string]*file
}

func (c *files) init(w *worker) {
	c.worker, c.known = w, map[string]*file{}
	_ = mime.TypeByExtension(".html") // reads the system's tables now
}

// get returns the file that a path leads to, with a reference, if it was looked at a short
// time ago.
func (c *files) get(path []byte) *file {
	f := c.known[string(path)]
	if f == nil || c.worker.now-f.checked >= int64(c.worker.config.revalidate) {
		return nil
	}
	f.users++
	return f
}

// leave gives a reference back; the last closes the file.
func (c *files) leave(f *file) {
	if f.users--; f.users == 0 && f.from != nil {
		_ = f.from.Close(nil)
	}
}

// remember makes the file the one that a path leads to.
func (c *files) remember(path string, f *file) {
	c.forget(path)
	if len(c.known) >= maxFiles {
		for p := range c.known { // any one
			c.forget(p)
			break
		}
	}
	f.users++
	c.known[path] = f
}

func (c *files) forget(path string) {
	if f := c.known[path]; f != nil {
		delete(c.known, path)
		c.leave(f)
	}
}

// shrink closes the files that nobody uses: descriptors have run out.
func (c *files) shrink() {
	for p, f := range c.known {
		if f.from != nil && f.users == 1 {
			c.forget(p)
		}
	}
}

const (
	openFlags    = syscall.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY // a FIFO has nobody at its other end
	index        = "index.html"
	maxRaces     = 8
	sniffs       = 512  // bytes, as http.DetectContentType
	resolveFlags = 0x0a // RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
)

// search is the way from a path to what it leads to: the file, or for a directory its
// index, or the list of its names.
type search struct {
	files   *files
	session *session
	path    string
	op      proactor.Op
	index   bool // the index is looked for, not the directory
	races   int

	from *proactor.File
	file *file
	buf  []byte
}

// open looks where a path leads, for a session.
func (c *files) open(s *session, path string) {
	x := &search{files: c, session: s, path: path, index: strings.HasSuffix(path, "/")}
	x.op.Done = x.opened
	x.open()
}

func (x *search) open() {
	name := x.path[1:]
	if x.index {
		name += index
	} else if name == "" {
		name = "."
	}
	x.submit(x.op.OpenAt2(x.files.worker.root, name, op.OpenHow{Flags: openFlags, Resolve: resolveFlags}))
}

func (x *search) submit(o *proactor.Op) {
	if _, err := x.files.worker.loop.Submit(o); err != nil { // the loop is closing
		x.session.opening = false
		x.session.abort()
	}
}

// reply tells the session. The reference to the file is the session's.
func (x *search) reply(r found) { x.session.came(r) }

func (x *search) fail(status int) { x.reply(found{status: status}) }

// opened is the callback of the open.
func (x *search) opened(o *proactor.Op) {
	fd, err := o.Result()
	if err != nil {
		x.missing(err)
		return
	}
	id, err := identify(fd)
	if err == nil {
		x.from, err = x.files.worker.loop.NewFile(fd, x.path)
	}
	if err != nil {
		op.CloseFD(fd)
		x.fail(http.StatusServiceUnavailable)
		return
	}
	switch {
	case id.mode.IsRegular():
		x.regular(id)
	case id.mode.IsDir() && x.index: // a directory with that name
		x.close()
		x.directory()
	case id.mode.IsDir() && !strings.HasSuffix(x.path, "/"):
		x.close()
		x.fail(http.StatusMovedPermanently)
	case id.mode.IsDir():
		x.list()
	default:
		x.close()
		x.fail(http.StatusForbidden)
	}
}

func (x *search) close() { _ = x.from.Close(nil) }

// missing answers for what can't be opened.
func (x *search) missing(err error) {
	switch {
	case errors.Is(err, syscall.EAGAIN) && x.races < maxRaces: // something was renamed meanwhile
		x.races++
		x.open()
	case x.index && errors.Is(err, fs.ErrNotExist):
		x.directory()
	default:
		if s := statusOf(err); s != http.StatusServiceUnavailable {
			x.files.forget(x.path)
			x.fail(s)
			return
		}
		x.files.worker.server.complain(err)
		x.files.shrink()
		x.fail(http.StatusServiceUnavailable)
	}
}

// statusOf is what an error of an open comes to. A link that leads out of the directory
// is not there (EXDEV, ELOOP).
func statusOf(err error) int {
	for _, e := range []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EXDEV, syscall.ELOOP, syscall.EINVAL} {
		if errors.Is(err, e) {
			return http.StatusNotFound
		}
	}
	for _, e := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.ENXIO, syscall.ENODEV} {
		if errors.Is(err, e) {
			return http.StatusForbidden
		}
	}
	return http.StatusServiceUnavailable
}

// directory goes on with the directory, which has no index.
func (x *search) directory() {
	x.index = false
	x.files.forget(x.path)
	x.open()
}

// regular goes on with a regular file.
func (x *search) regular(id identity) {
	if old := x.files.known[x.path]; old != nil && old.id == id {
		x.close()
		old.checked = x.files.worker.now
		old.users++
		x.reply(found{file: old})
		return
	}
	name := x.path
	if x.index {
		name = index
	}
	x.file = &file{id: id, size: id.size, users: 1}
	kind := mime.TypeByExtension(path.Ext(name))
	switch {
	case id.size <= maxKept:
		x.read(int(id.size)+1, kind) // one more, to see that it hasn't grown
	case kind == "":
		x.read(sniffs, kind)
	default:
		x.keepOpen(kind)
	}
}

// read reads the beginning of the file, or all of it.
func (x *search) read(n int, kind string) {
	x.buf = make([]byte, n)
	x.op.Done = func(o *proactor.Op) { x.wasRead(o, kind) }
	x.submit(x.op.ReadAt(x.from, x.buf, 0))
}

func (x *search) wasRead(o *proactor.Op, kind string) {
	n, err := o.Result()
	if err != nil && err != io.EOF {
		x.files.worker.server.complain(err)
		x.close()
		x.fail(http.StatusServiceUnavailable)
		return
	}
	b := x.buf[:n]
	if kind == "" {
		kind = http.DetectContentType(b)
	}
	if x.file.size > maxKept {
		x.keepOpen(kind)
		return
	}
	now, err := identify(x.from.FD())
	x.close()
	f := x.file
	if int64(n) > f.size { // it has grown: what was promised by its identity
		b = b[:f.size]
	}
	f.bytes, f.size = b, int64(len(b))
	f.describe(kind)
	// What is being written can change without a sign, within a tick of the clock that
	// dates it; so only what is older is kept.
	const settled = int64(100 * time.Millisecond)
	if err == nil && now == f.id && f.size == f.id.size && time.Now().UnixNano()-max(f.id.mtime, f.id.ctime) > settled {
		x.keep()
	}
	x.reply(found{file: f})
}

// keepOpen answers with the open file.
func (x *search) keepOpen(kind string) {
	x.file.from = x.from
	x.file.describe(kind)
	x.keep()
	x.reply(found{file: x.file})
}

// keep has the file be known from now on.
func (x *search) keep() {
	x.file.checked = x.files.worker.now
	if x.files.worker.config.revalidate > 0 {
		x.files.remember(x.path, x.file)
	}
}
