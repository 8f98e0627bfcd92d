package main

import (
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// list goes on with a directory: its names, by a worker of the loop's.
func (x *search) list() {
	if !x.files.worker.config.list {
		x.close()
		x.fail(http.StatusForbidden)
		return
	}
	var page []byte
	var failed error
	fd := x.from.FD()
	read := func() { page, failed = listing(fd, x.path) }
	_, err := x.files.worker.loop.Go(read, func(err error) {
		x.close()
		if err != nil || failed != nil {
			x.fail(http.StatusServiceUnavailable)
			return
		}
		x.reply(found{list: page})
	})
	if err != nil { // too much work waits
		x.close()
		x.fail(http.StatusServiceUnavailable)
	}
}

// listing makes a page of the names in a directory, sorted, directories with a slash.
func listing(fd int, path string) ([]byte, error) {
	fd, err := duplicate(fd)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	all, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	title := html.EscapeString(path)
	b := fmt.Appendf(nil, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n<h1>%s</h1>\n<pre>\n", title, title)
	if path != "/" {
		b = append(b, "<a href=\"../\">../</a>\n"...)
	}
	for _, e := range all {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		// The URL of a name such as "a:b" begins with "./", or it would be of a scheme.
		b = fmt.Appendf(b, "<a href=\"%s\">%s</a>\n", html.EscapeString((&url.URL{Path: name}).String()), html.EscapeString(name))
	}
	return append(b, "</pre>\n"...), nil
}
