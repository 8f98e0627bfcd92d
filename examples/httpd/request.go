package main

import (
	"bytes"
	"net/http"
)

// Limits of a request's head.
const (
	maxHead   = 16 << 10 // bytes
	maxLine   = 8 << 10  // bytes of the request line
	maxFields = 100
)

// request is the head of a request. What is a slice is a part of the input.
type request struct {
	method []byte
	target []byte // as it came
	path   []byte // of the target, still encoded
	query  []byte // with its question mark
	minor  byte   // of HTTP/1.x; what is above 1 counts as 1

	head      bool  // HEAD, not GET
	keepAlive bool  // the connection may stay
	length    int64 // of the body
	expects   bool  // 100-continue

	host                               []byte
	ranges, ifRange                    []byte
	ifMatch, ifNoneMatch               []byte
	ifModifiedSince, ifUnmodifiedSince []byte
	referer, agent                     []byte

	hosts, lengths int
	coded          bool // it has a Transfer-Encoding,
	chunked        bool // and that is chunked alone
	closes, stays  bool // options of Connection
	strange        bool // an Expect that isn't known
}

// parse reads the head of a request at the beginning of b. It returns how many bytes
// that takes, and the status of the refusal if it is one, 0 if not. Both are 0 if there
// is more to come.
//
// A line may end with a bare LF, as RFC 9112 allows in section 2.2; a bare CR is
// refused.
func (r *request) parse(b []byte) (n, status int) {
	*r = request{}
	for n < len(b) && (b[n] == '\r' || b[n] == '\n') { // empty lines before it (section 2.2)
		if b[n] == '\r' && n+1 < len(b) && b[n+1] != '\n' {
			return 0, http.StatusBadRequest
		}
		n++
	}
	if n > maxLine { // they are kept until the request is there
		return n, http.StatusBadRequest
	}
	line, k := nextLine(b[n:])
	if k == 0 || k > maxLine {
		return 0, tooLong(len(b)-n, maxLine, http.StatusRequestURITooLong)
	}
	n += k
	if status := r.requestLine(line); status != 0 {
		return n, status
	}
	for fields := 0; ; fields++ {
		line, k = nextLine(b[n:])
		if k == 0 || n+k > maxHead {
			return 0, tooLong(len(b), maxHead, http.StatusRequestHeaderFieldsTooLarge)
		}
		n += k
		if len(line) == 0 {
			return n, r.judge()
		}
		if fields == maxFields {
			return n, http.StatusRequestHeaderFieldsTooLarge
		}
		if !r.field(line) {
			return n, http.StatusBadRequest
		}
	}
}

// tooLong is the status if what has come without an end is longer than the limit.
func tooLong(n, limit, status int) int {
	if n < limit {
		return 0
	}
	return status
}

// nextLine returns the line at the beginning of b without its end, and how many bytes it
// takes with it: 0 if the end hasn't come.
func nextLine(b []byte) (line []byte, n int) {
	n = bytes.IndexByte(b, '\n') + 1
	if n == 0 {
		return nil, 0
	}
	line = b[:n-1]
	if k := len(line); k > 0 && line[k-1] == '\r' {
		line = line[:k-1]
	}
	return line, n
}

// requestLine reads the method, the target and the version.
func (r *request) requestLine(line []byte) (status int) {
	i, j := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if i < 1 || i == j {
		return http.StatusBadRequest
	}
	r.method, r.target = line[:i], line[i+1:j]
	for _, c := range r.method {
		if class[c]&token == 0 {
			return http.StatusBadRequest
		}
	}
	r.head = string(r.method) == "HEAD"
	for _, c := range r.target {
		if c <= ' ' || c == 0x7f || c == '#' {
			return http.StatusBadRequest
		}
	}
	return r.version(line[j+1:])
}

func (r *request) version(v []byte) (status int) {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || !digit(v[5]) || v[6] != '.' || !digit(v[7]) {
		return http.StatusBadRequest
	}
	if v[5] != '1' {
		return http.StatusHTTPVersionNotSupported
	}
	r.minor = min(v[7]-'0', 1)
	return 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// Classes of bytes.
const (
	token = 1 << iota // of names and methods: RFC 9110, section 5.6.2
	value             // of field values: visible, space, tab, and beyond ASCII
)

var class = func() (t [256]byte) {
	for c := range t {
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] = value
		}
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0 {
			t[c] |= token
		}
	}
	return t
}()

// field takes one field of the head. It reports whether it is well-formed.
func (r *request) field(line []byte) bool {
	k := bytes.IndexByte(line, ':')
	if k < 1 {
		return false
	}
	name, v := line[:k], line[k+1:]
	for _, c := range name {
		if class[c]&token == 0 { // so nothing is folded, and no space is before the colon
			return false
		}
	}
	for _, c := range v {
		if class[c]&value == 0 {
			return false
		}
	}
	return r.known(name, trim(v))
}

// known keeps the fields that matter here.
func (r *request) known(name, v []byte) bool {
	switch len(name) {
	case 4:
		if same(name, "host") {
			r.host = v
			r.hosts++
		}
	case 5:
		if same(name, "range") {
			first(&r.ranges, v)
		}
	case 6:
		if same(name, "expect") {
			r.expects = r.expects || same(v, "100-continue")
			r.strange = r.strange || !same(v, "100-continue")
		}
	case 7:
		if same(name, "referer") {
			first(&r.referer, v)
		}
	case 8:
		switch {
		case same(name, "if-match"):
			first(&r.ifMatch, v)
		case same(name, "if-range"):
			first(&r.ifRange, v)
		}
	case 10:
		switch {
		case same(name, "connection"):
			r.connection(v)
		case same(name, "user-agent"):
			first(&r.agent, v)
		}
	case 13:
		if same(name, "if-none-match") {
			first(&r.ifNoneMatch, v)
		}
	case 14:
		if same(name, "content-length") {
			r.lengths++
			return r.contentLength(v)
		}
	case 17:
		switch {
		case same(name, "if-modified-since"):
			first(&r.ifModifiedSince, v)
		case same(name, "transfer-encoding"):
			r.chunked = !r.coded && same(v, "chunked")
			r.coded = true
		}
	case 19:
		if same(name, "if-unmodified-since") {
			first(&r.ifUnmodifiedSince, v)
		}
	}
	return true
}

// first keeps the first of several fields of a name.
func first(to *[]byte, v []byte) {
	if *to == nil {
		*to = v
	}
}

func (r *request) connection(v []byte) {
	for len(v) > 0 {
		var option []byte
		option, v, _ = bytes.Cut(v, []byte{','})
		option = trim(option)
		r.closes = r.closes || same(option, "close")
		r.stays = r.stays || same(option, "keep-alive")
	}
}

func (r *request) contentLength(v []byte) bool {
	if len(v) == 0 || len(v) > 18 { // more digits could be too many for 63 bits
		return false
	}
	for _, c := range v {
		if !digit(c) {
			return false
		}
		r.length = r.length*10 + int64(c-'0')
	}
	return true
}

// maxBody is how much of a body is read, to be dropped.
const maxBody = 1 << 20

// judge looks at the head as a whole.
func (r *request) judge() (status int) {
	r.keepAlive = !r.closes && (r.minor == 1 || r.stays)
	switch {
	case r.hosts > 1 || r.minor == 1 && r.hosts == 0 || !goodHost(r.host):
		return http.StatusBadRequest
	case r.lengths > 1 || r.coded && (r.lengths > 0 || r.minor == 0):
		return http.StatusBadRequest // others could see another end of the body
	case r.coded && !r.chunked:
		return http.StatusNotImplemented
	case r.coded:
		return http.StatusLengthRequired
	case r.length > maxBody:
		return http.StatusRequestEntityTooLarge
	case r.strange:
		return http.StatusExpectationFailed
	}
	return r.resource()
}

func goodHost(h []byte) bool {
	for _, c := range h {
		if c <= ' ' || c >= 0x7f || c == '/' || c == '?' || c == '#' || c == '@' || c == '\\' {
			return false
		}
	}
	return true
}

// resource judges the method and finds the path in the target.
func (r *request) resource() (status int) {
	switch string(r.method) {
	case "GET", "HEAD":
	case "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT":
		return http.StatusMethodNotAllowed
	default:
		return http.StatusNotImplemented
	}
	r.path = r.target
	if len(r.target) > 7 && r.target[0] != '/' { // the absolute form, to be taken of all (RFC 9112, section 3.2.2)
		if !same(r.target[:7], "http://") {
			return http.StatusBadRequest
		}
		r.path = r.target[7:]
		k := bytes.IndexByte(r.path, '/')
		if k < 0 {
			k = len(r.path)
		}
		if k == 0 || !goodHost(r.path[:k]) {
			return http.StatusBadRequest
		}
		if r.path = r.path[k:]; len(r.path) == 0 {
			r.path = []byte("/")
		}
	}
	if len(r.path) == 0 || r.path[0] != '/' {
		return http.StatusBadRequest
	}
	if k := bytes.IndexByte(r.path, '?'); k >= 0 {
		r.path, r.query = r.path[:k], r.path[k:]
	}
	return 0
}

// same compares without regard to case; s is in lower case.
func same(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// trim drops spaces and tabs around a value.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
