package main

import (
	"bytes"
	"net/http"
	"time"
)

// precondition evaluates the conditions of a request in the order of RFC 9110, section
// 13.2.2. The status is 412, 304, or 0 if the request is to be done.
func (r *request) precondition(f *file) (status int) {
	switch {
	case r.ifMatch != nil:
		if !matches(r.ifMatch, f.etag, true) {
			return http.StatusPreconditionFailed
		}
	case r.ifUnmodifiedSince != nil:
		if t, ok := f.date(r.ifUnmodifiedSince); ok && f.modified.After(t) {
			return http.StatusPreconditionFailed
		}
	}
	switch {
	case r.ifNoneMatch != nil:
		if matches(r.ifNoneMatch, f.etag, false) {
			return http.StatusNotModified
		}
	case r.ifModifiedSince != nil:
		if t, ok := f.date(r.ifModifiedSince); ok && !f.modified.After(t) {
			return http.StatusNotModified
		}
	}
	return 0
}

// rangeHolds evaluates If-Range: whether the ranges are of the file as it is (section
// 13.1.5).
func (r *request) rangeHolds(f *file) bool {
	v := r.ifRange
	if v == nil {
		return true
	}
	if len(v) > 0 && (v[0] == '"' || v[0] == 'W') {
		return string(v) == f.etag // a weak one never is
	}
	t, ok := f.date(v)
	return ok && t.Equal(f.modified)
}

// date reads the date of a condition. Most clients send back what they were given.
func (f *file) date(v []byte) (time.Time, bool) {
	if string(v) == f.lastModified {
		return f.modified, true
	}
	t, err := http.ParseTime(string(v))
	return t, err == nil
}

// matches reports whether a list of entity tags, or *, has the one. A strong comparison
// takes no weak tag (RFC 9110, section 8.8.3.2).
func matches(list []byte, etag string, strong bool) bool {
	for {
		list = bytes.TrimLeft(list, " \t,")
		if len(list) == 0 {
			return false
		}
		if list[0] == '*' {
			return true
		}
		weak := bytes.HasPrefix(list, []byte("W/"))
		if weak {
			list = list[2:]
		}
		if len(list) == 0 || list[0] != '"' {
			return false // what follows can't be told apart
		}
		end := bytes.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if string(list[:end+2]) == etag && !(strong && weak) {
			return true
		}
		list = list[end+2:]
	}
}
