package main

import (
	"bytes"
	"net/http"
)

// cleanPath decodes the path of a request and resolves its dots, without looking at any
// file: the result begins with one slash, has no empty part and none of dots, and ends
// with a slash if the path names a directory. It is path itself where there is nothing to
// do, else a part of room, which is returned for the next time.
//
// Refused are escapes that aren't, a NUL (400), a path above the root (400), and an
// encoded slash, which no file's name has (404).
func cleanPath(path, room []byte) (clean, again []byte, status int) {
	if plain(path) {
		return path, room, 0
	}
	b := room[:0]
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) || unhex[path[i+1]] < 0 || unhex[path[i+2]] < 0 {
				return nil, b, http.StatusBadRequest
			}
			c = byte(unhex[path[i+1]])<<4 | byte(unhex[path[i+2]])
			i += 2
			switch c {
			case 0:
				return nil, b, http.StatusBadRequest
			case '/':
				return nil, b, http.StatusNotFound
			}
		}
		b = append(b, c)
	}
	clean = resolveDots(b)
	if clean == nil {
		return nil, b, http.StatusBadRequest
	}
	return clean, b, 0
}

// plain reports whether a path is as cleanPath makes them.
func plain(path []byte) bool {
	before := byte(0)
	for _, c := range path {
		if c == '%' || before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return true
}

// resolveDots cleans a decoded path in place (RFC 3986, section 5.2.4). It returns nil
// if that leads above the root.
func resolveDots(b []byte) []byte {
	rest, n := b[1:], 1 // b[:n] is clean and ends with a slash
	for {
		k := bytes.IndexByte(rest, '/')
		part := rest
		if k >= 0 {
			part = rest[:k]
		}
		switch string(part) {
		case "", ".":
		case "..":
			if n == 1 {
				return nil
			}
			n = bytes.LastIndexByte(b[:n-1], '/') + 1
		default:
			n += copy(b[n:], part)
			if k < 0 {
				return b[:n]
			}
			b[n] = '/'
			n++
		}
		if k < 0 {
			return b[:n]
		}
		rest = rest[k+1:]
	}
}

var unhex = func() (t [256]int8) {
	for c := range t {
		t[c] = int8(bytes.IndexByte([]byte("0123456789abcdef"), byte(c)))
		if 'A' <= c && c <= 'F' {
			t[c] = int8(c - 'A' + 10)
		}
	}
	return t
}()
