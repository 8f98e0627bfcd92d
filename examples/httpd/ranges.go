package main

import (
	"bytes"
	"strconv"
)

// span is n bytes of a file from off on.
type span struct{ off, n int64 }

// maxRanges is how many ranges of one request are served: RFC 9110, section 14.2, warns of
// those who ask for very many.
const maxRanges = 16

// verdict on a Range field.
type verdict uint8

const (
	whole   verdict = iota // no ranges, or such that are better ignored: 200
	partial                // 206
	none                   // not satisfiable, or not understood: 416
)

// parseRanges reads a Range field (RFC 9110, section 14.1.1) for a file of size bytes, and
// appends what it asks for to to. A unit that isn't bytes is ignored, and so are ranges that
// are too many or together more than the file.
func parseRanges(v []byte, size int64, to []span) ([]span, verdict) {
	if len(v) < 6 || !same(v[:6], "bytes=") {
		return to, whole
	}
	v = v[6:]
	total, count := int64(0), 0
	for more := true; more; {
		var one []byte
		one, v, more = bytes.Cut(v, []byte{','})
		if one = trim(one); len(one) == 0 {
			continue
		}
		if count++; count > maxRanges {
			return to[:0], whole
		}
		s, ok := parseRange(one, size)
		if !ok {
			return to[:0], none
		}
		if s.n > 0 {
			to = append(to, s)
			total += s.n
		}
	}
	switch {
	case total > size:
		return to[:0], whole
	case len(to) == 0:
		return to, none
	}
	return to, partial
}

// parseRange reads one range. Ok with no bytes: it lies behind the end.
func parseRange(b []byte, size int64) (s span, ok bool) {
	from, to, ok := bytes.Cut(b, []byte{'-'})
	if !ok {
		return s, false
	}
	first, hasFirst, ok1 := number(trim(from))
	last, hasLast, ok2 := number(trim(to))
	switch {
	case !ok1 || !ok2 || !hasFirst && !hasLast || hasFirst && hasLast && last < first:
		return s, false
	case !hasFirst: // the last so many
		n := min(last, size)
		return span{size - n, n}, true
	case first >= size:
		return s, true
	case !hasLast:
		return span{first, size - first}, true
	}
	return span{first, min(last, size-1) - first + 1}, true
}

// number reads a number of digits only. One that is too large is larger than every file.
func number(b []byte) (n int64, has, ok bool) {
	for _, c := range b {
		if !digit(c) {
			return 0, false, false
		}
		if n < 1<<59 {
			n = n*10 + int64(c-'0')
		}
	}
	return n, len(b) > 0, true
}

// appendContentRange appends a Content-Range field.
func appendContentRange(b []byte, s span, size int64) []byte {
	b = append(b, "Content-Range: bytes "...)
	b = strconv.AppendInt(b, s.off, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, s.off+s.n-1, 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, size, 10)
	return append(b, "\r\n"...)
}
