package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
)

// found is what a request's path leads to: a file, or a status, or a list.
type found struct {
	file   *file // referred to
	status int
	list   []byte
}

func (x *found) drop(f *files) {
	if x.file != nil {
		f.leave(x.file)
	}
	*x = found{}
}

// respond answers a request. It returns false if that must wait for the file: then the
// request is to be asked again.
func (s *session) respond(r *request) bool {
	w := s.worker
	if string(r.path) == "/plaintext" {
		s.plaintext(r)
		return true
	}
	x := s.found
	if !s.ready {
		clean, room, status := cleanPath(r.path, w.room)
		w.room = room
		if status != 0 {
			s.fail(r, status)
			return true
		}
		if x.file = w.files.get(clean); x.file == nil {
			s.opening = true
			w.files.open(s, string(clean))
			return false
		}
	}
	s.found, s.ready = found{}, false
	switch {
	case x.file != nil:
		s.serve(r, x.file)
	case x.list != nil:
		s.list(r, x.list)
	case x.status == http.StatusMovedPermanently:
		s.redirect(r)
	default:
		s.fail(r, x.status)
	}
	return true
}

// came is told what the path of the request that waits leads to.
func (s *session) came(x found) {
	s.opening = false
	s.found, s.ready = x, true
	if s.closed {
		s.forget()
		return
	}
	s.advance()
}

func (s *session) grow() {
	if s.out == nil {
		s.out = s.worker.memory()
	}
}

// begin appends the status line and the fields of all answers.
func (s *session) begin(r *request, status int) {
	s.grow()
	if status == http.StatusOK {
		s.out = append(s.out, s.worker.ok...)
	} else {
		s.out = append(s.out, "HTTP/1.1 "...)
		s.out = strconv.AppendInt(s.out, int64(status), 10)
		s.out = append(s.out, ' ')
		s.out = append(s.out, http.StatusText(status)...)
		s.out = append(s.out, "\r\n"...)
		s.out = append(s.out, s.worker.common...)
	}
	switch {
	case !r.keepAlive:
		s.out = append(s.out, "Connection: close\r\n"...)
	case r.minor == 0:
		s.out = append(s.out, "Connection: keep-alive\r\n"...)
	}
}

// length appends Content-Length and ends the head.
func (s *session) length(n int64) {
	s.out = append(s.out, "Content-Length: "...)
	s.out = strconv.AppendInt(s.out, n, 10)
	s.out = append(s.out, "\r\n\r\n"...)
}

func (s *session) plaintext(r *request) {
	const hello = "Hello, World!"
	if r.keepAlive && r.minor == 1 && !r.head {
		s.grow()
		s.out = append(s.out, s.worker.plaintext...)
	} else {
		s.begin(r, http.StatusOK)
		s.out = append(s.out, "Content-Type: text/plain\r\n"...)
		s.length(int64(len(hello)))
		if !r.head {
			s.out = append(s.out, hello...)
		}
	}
	s.worker.log.line(s, r, http.StatusOK, int64(len(hello)))
}

// fail answers with an error.
func (s *session) fail(r *request, status int) {
	s.begin(r, status)
	switch status {
	case http.StatusMethodNotAllowed:
		s.out = append(s.out, "Allow: GET, HEAD\r\n"...)
	case http.StatusServiceUnavailable:
		s.out = append(s.out, "Retry-After: 1\r\n"...)
	}
	s.short(r, status, http.StatusText(status)+"\n")
}

// short ends an answer with a line of text.
func (s *session) short(r *request, status int, text string) {
	s.out = append(s.out, "Content-Type: text/plain; charset=utf-8\r\n"...)
	s.length(int64(len(text)))
	if !r.head {
		s.out = append(s.out, text...)
	}
	s.worker.log.line(s, r, status, int64(len(text)))
}

// redirect sends the client to the path with a slash. It is built from the clean path: one
// that begins with two slashes would be another host's.
func (s *session) redirect(r *request) {
	clean, room, _ := cleanPath(r.path, s.worker.room)
	to := (&url.URL{Path: string(clean) + "/"}).EscapedPath()
	s.worker.room = room
	s.begin(r, http.StatusMovedPermanently)
	s.out = append(s.out, "Location: "...)
	s.out = append(s.out, to...)
	s.out = append(s.out, r.query...)
	s.out = append(s.out, "\r\n"...)
	s.short(r, http.StatusMovedPermanently, http.StatusText(http.StatusMovedPermanently)+"\n")
}

// list answers with the names of a directory.
func (s *session) list(r *request, page []byte) {
	s.begin(r, http.StatusOK)
	s.out = append(s.out, "Content-Type: text/html; charset=utf-8\r\n"...)
	s.length(int64(len(page)))
	if !r.head {
		s.out = append(s.out, page...)
	}
	s.worker.log.line(s, r, http.StatusOK, int64(len(page)))
}

// serve answers with a file, or what the conditions make of it. The reference is its own.
func (s *session) serve(r *request, f *file) {
	status := r.precondition(f)
	b := &s.body
	if status == 0 {
		status = http.StatusOK
		if r.ranges != nil && !r.head && r.rangeHolds(f) {
			var v verdict
			switch b.parts, v = parseRanges(r.ranges, f.size, b.parts[:0]); v {
			case partial:
				status = http.StatusPartialContent
			case none:
				status = http.StatusRequestedRangeNotSatisfiable
			}
		}
	}
	s.begin(r, status)
	switch status {
	case http.StatusOK:
		s.out = append(s.out, f.whole...)
		b.parts = append(b.parts[:0], span{0, f.size})
		s.bodyOf(r, f, status, f.size)
		return
	case http.StatusPartialContent:
		s.partial(r, f)
		return
	case http.StatusNotModified:
		s.out = append(s.out, f.validators...)
		s.out = append(s.out, "\r\n"...)
		s.worker.log.line(s, r, status, 0)
	case http.StatusRequestedRangeNotSatisfiable:
		s.out = append(s.out, "Content-Range: bytes */"...)
		s.out = strconv.AppendInt(s.out, f.size, 10)
		s.out = append(s.out, "\r\n"...)
		s.short(r, status, http.StatusText(status)+"\n")
	default:
		s.short(r, status, http.StatusText(status)+"\n")
	}
	s.worker.files.leave(f)
}

// partial answers with ranges: one by itself, several as multipart/byteranges (RFC 9110,
// section 14.6).
func (s *session) partial(r *request, f *file) {
	b := &s.body
	s.out = append(s.out, f.validators...)
	s.out = append(s.out, "Accept-Ranges: bytes\r\n"...)
	n := int64(0)
	if len(b.parts) == 1 {
		s.out = append(s.out, f.typeField...)
		s.out = appendContentRange(s.out, b.parts[0], f.size)
		n = b.parts[0].n
	} else {
		b.boundary = fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
		s.out = append(s.out, "Content-Type: multipart/byteranges; boundary="...)
		s.out = append(s.out, b.boundary...)
		s.out = append(s.out, "\r\n"...)
		n = b.multipartLength(f)
	}
	s.out = append(s.out, "Content-Length: "...)
	s.out = strconv.AppendInt(s.out, n, 10)
	s.out = append(s.out, "\r\n"...)
	s.bodyOf(r, f, http.StatusPartialContent, n)
}

// bodyOf ends the head, and begins the body.
func (s *session) bodyOf(r *request, f *file, status int, n int64) {
	s.out = append(s.out, "\r\n"...)
	s.worker.log.line(s, r, status, n)
	if r.head {
		s.body.boundary = ""
		s.worker.files.leave(f)
		return
	}
	s.body.file, s.body.part, s.body.rest = f, 0, span{}
	s.pump()
}

// body is what is still to be sent of an answer's body.
type body struct {
	file     *file // referred to; nil if there is nothing
	parts    []span
	part     int // the next
	rest     span
	boundary string // between parts, "" if there is one only
}

// next returns how many bytes of the file are to be sent next, at most.
func (b *body) next(most int64) int64 {
	if b.file == nil {
		return 0
	}
	return min(b.rest.n, most)
}

func (b *body) sent(n int64) {
	b.rest.off += n
	b.rest.n -= n
}

func (b *body) drop(f *files) {
	if b.file != nil {
		f.leave(b.file)
	}
	b.file, b.parts, b.boundary = nil, b.parts[:0], ""
}

// appendPart appends what is before a part.
func (b *body) appendPart(to []byte, f *file, x span) []byte {
	to = append(to, "\r\n--"...)
	to = append(to, b.boundary...)
	to = append(to, "\r\n"...)
	to = append(to, f.typeField...)
	to = appendContentRange(to, x, f.size)
	return append(to, "\r\n"...)
}

// appendEnd appends what is behind the last part.
func (b *body) appendEnd(to []byte) []byte {
	to = append(to, "\r\n--"...)
	to = append(to, b.boundary...)
	return append(to, "--\r\n"...)
}

func (b *body) multipartLength(f *file) (n int64) {
	var head []byte
	for _, x := range b.parts {
		head = b.appendPart(head[:0], f, x)
		n += int64(len(head)) + x.n
	}
	return n + int64(len(b.appendEnd(nil)))
}

// pump appends what is next of the body, up to where a part is to be sent from the file.
func (s *session) pump() {
	b := &s.body
	s.grow()
	for b.rest.n == 0 {
		if b.part == len(b.parts) {
			if b.boundary != "" {
				s.out = b.appendEnd(s.out)
			}
			b.drop(&s.worker.files)
			return
		}
		x := b.parts[b.part]
		b.part++
		if b.boundary != "" {
			s.out = b.appendPart(s.out, b.file, x)
		}
		if b.file.from == nil {
			s.out = append(s.out, b.file.bytes[x.off:x.off+x.n]...)
		} else {
			b.rest = x
		}
	}
}
