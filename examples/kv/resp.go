package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Limits of the protocol, as Redis has them.
const (
	lineMax = 64 << 10 // an inline request, or a number
	argsMax = 1 << 20
)

// limits are those that the command line sets.
type limits struct {
	bulk    int // bytes of one argument
	request int // bytes of a request
}

// parser takes requests apart. One that has come in part is not looked at again
// from its beginning: the parser keeps how far it was.
type parser struct {
	limits
	args  [][]byte // of the request that next has found, in its input
	spans []span   // of the request under way: its arguments so far
	count int      // of its arguments, 0 between requests
	at    int      // how much of it has been taken apart
}

// span is where an argument is, counted from the beginning of its request.
type span struct{ from, to int }

// next takes the first request of in apart: n is its length, and 0 if it isn't
// whole yet; then the next call must have the same bytes and more. A request can
// have no arguments. After an error, which is the protocol's, nothing follows.
func (p *parser) next(in []byte) (n int, err error) {
	if p.count == 0 {
		if len(in) == 0 {
			return 0, nil
		}
		if in[0] != '*' {
			return p.inline(in)
		}
		count, end, err := number(in, 1, "too big mbulk count string")
		switch {
		case err != nil || end == 0:
			return 0, err
		case count.bad || count.n > argsMax:
			return 0, errors.New("invalid multibulk length")
		case count.n <= 0:
			p.args = p.args[:0]
			return end, nil
		}
		p.count, p.at, p.spans = int(count.n), end, p.spans[:0]
	}
	for len(p.spans) < p.count {
		switch whole, err := p.bulk(in); {
		case err != nil:
			p.count = 0 // another connection's request may be the next
			return 0, err
		case !whole:
			return 0, nil
		}
	}
	p.args = p.args[:0]
	for _, s := range p.spans {
		p.args = append(p.args, in[s.from:s.to])
	}
	p.count = 0
	return p.at, nil
}

// bulk takes one argument.
func (p *parser) bulk(in []byte) (whole bool, err error) {
	if len(in) <= p.at {
		return false, nil
	}
	if c := in[p.at]; c != '$' {
		return false, fmt.Errorf("expected '$', got '%c'", printable(c))
	}
	size, begin, err := number(in, p.at+1, "too big bulk count string")
	switch {
	case err != nil || begin == 0:
		return false, err
	case size.bad || size.n < 0 || size.n > int64(p.limits.bulk):
		return false, errors.New("invalid bulk length")
	}
	end := begin + int(size.n)
	if end > p.request {
		return false, errors.New("too big request")
	}
	if len(in) < end+2 {
		return false, nil
	}
	p.spans = append(p.spans, span{begin, end})
	p.at = end + 2 // Redis doesn't look at the line's end either
	return true, nil
}

// integer is a number of the protocol.
type integer struct {
	n   int64
	bad bool
}

// number reads the line at from; end is behind it, 0 if it isn't whole yet.
func number(in []byte, from int, tooLong string) (x integer, end int, err error) {
	// Most are one or two digits.
	for i := from; i < len(in) && i < from+4; i++ {
		c := in[i]
		if c >= '0' && c <= '9' {
			x.n = x.n*10 + int64(c-'0')
			continue
		}
		if c == '\r' && i > from && (in[from] != '0' || i == from+1) {
			if i+1 == len(in) {
				return x, 0, nil
			}
			return x, i + 2, nil
		}
		break
	}
	rest := in[from:]
	i := bytes.IndexByte(rest, '\r')
	if i < 0 || i+1 == len(rest) {
		if i < 0 && len(rest) > lineMax {
			return x, 0, errors.New(tooLong)
		}
		return x, 0, nil
	}
	n, ok := parseInt(rest[:i])
	return integer{n, !ok}, from + i + 2, nil
}

// parseInt is as strict as Redis is: no sign but a minus, no leading zeros.
func parseInt(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || digits[0] == '+' || digits[0] == '-' || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	if len(b) > 18 {
		n, err := strconv.ParseInt(string(b), 10, 64)
		return n, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if b[0] == '-' {
		n = -n
	}
	return n, true
}

// inline takes a request as people type it.
func (p *parser) inline(in []byte) (n int, err error) {
	i := bytes.IndexByte(in[:min(len(in), lineMax+1)], '\n')
	if i < 0 {
		if len(in) > lineMax {
			return 0, errors.New("too big inline request")
		}
		return 0, nil
	}
	var ok bool
	if p.args, ok = words(bytes.TrimSuffix(in[:i], []byte("\r")), p.args[:0]); !ok {
		return 0, errors.New("unbalanced quotes in request")
	}
	return i + 1, nil
}

// words cuts a line up at its spaces. Quotes hold words together: in double ones
// there are escapes, in single ones only that of the quote.
func words(line []byte, to [][]byte) ([][]byte, bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return to, true
		}
		word, n, ok := word(line[i:])
		if !ok {
			return to, false
		}
		to = append(to, word)
		i += n
	}
}

func word(line []byte) (w []byte, n int, ok bool) {
	w = []byte{}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case isSpace(c):
			return w, i, true
		case c == '"' || c == '\'':
			inside, k, ok := quoted(line[i+1:], c)
			i += k + 1
			// Nothing but a space may follow.
			if !ok || i+1 < len(line) && !isSpace(line[i+1]) {
				return nil, 0, false
			}
			w = append(w, inside...)
		default:
			w = append(w, c)
		}
	}
	return w, len(line), true
}

// quoted reads up to the closing quote, which is at n.
func quoted(line []byte, quote byte) (w []byte, n int, ok bool) {
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			return w, i, true
		case c == '\\' && i+1 < len(line) && (quote == '"' || line[i+1] == '\''):
			var k int
			c, k = escape(line[i+1:], quote)
			i += k
		}
		w = append(w, c)
	}
	return nil, 0, false
}

// escape reads what is behind a backslash, n bytes.
func escape(b []byte, quote byte) (c byte, n int) {
	if quote == '"' && b[0] == 'x' && len(b) >= 3 {
		if v, err := strconv.ParseUint(string(b[1:3]), 16, 8); err == nil {
			return byte(v), 3
		}
	}
	if quote == '"' {
		switch b[0] {
		case 'n':
			return '\n', 1
		case 'r':
			return '\r', 1
		case 't':
			return '\t', 1
		case 'b':
			return '\b', 1
		case 'a':
			return '\a', 1
		}
	}
	return b[0], 1
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0 }

// printable keeps what is sent back within a line.
func printable(c byte) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return rune(c)
}

// Replies.

func appendBulk(to, b []byte) []byte {
	to = append(to, '$')
	to = strconv.AppendInt(to, int64(len(b)), 10)
	to = append(to, '\r', '\n')
	to = append(to, b...)
	return append(to, '\r', '\n')
}

func appendInt(to []byte, n int64) []byte { return appendLine(to, ':', n) }

func appendArray(to []byte, n int) []byte { return appendLine(to, '*', int64(n)) }

func appendLine(to []byte, kind byte, n int64) []byte {
	to = append(to, kind)
	to = strconv.AppendInt(to, n, 10)
	return append(to, '\r', '\n')
}

const (
	replyOK  = "+OK\r\n"
	replyNil = "$-1\r\n"
)

// appendError appends an error; what the client has sent can be in it.
func appendError(to []byte, text string) []byte {
	to = append(to, '-')
	for i := range len(text) {
		c := text[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		to = append(to, c)
	}
	return append(to, '\r', '\n')
}
