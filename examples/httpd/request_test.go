package main

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, text string) *request {
	var r request
	n, status := r.parse([]byte(text))
	require.Zero(t, status)
	require.Equal(t, len(text), n)
	return &r
}

func TestARequestIsRead(t *testing.T) {
	r := parsed(t, "\r\nGET /a%20b?c=d&e HTTP/1.1\r\nHost: x\r\nRange:bytes=0-1\r\nIf-range: \"a\"\r\nIF-MATCH: *\r\nIf-None-Match:\tW/\"b\" \r\n"+
		"If-Modified-Since: m\r\nIf-Unmodified-Since: u\r\nContent-Length: 12\r\nUser-Agent: me\r\n\r\n")
	require.Equal(t, "/a%20b", string(r.path))
	require.Equal(t, "?c=d&e", string(r.query))
	require.Equal(t, "bytes=0-1", string(r.ranges))
	require.Equal(t, `"a"`, string(r.ifRange))
	require.Equal(t, "*", string(r.ifMatch))
	require.Equal(t, `W/"b"`, string(r.ifNoneMatch))
	require.Equal(t, "m", string(r.ifModifiedSince))
	require.Equal(t, "u", string(r.ifUnmodifiedSince))
	require.Equal(t, int64(12), r.length)
	require.True(t, r.keepAlive)
	require.False(t, r.head)
}

func TestAConnectionStaysAsTheClientSays(t *testing.T) {
	for text, stays := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                                     true,
		"GET / HTTP/1.1\nHost: x\n\n":                                           true,
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                false,
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: TE , Close\r\n\r\n":           false,
		"GET / HTTP/1.0\r\n\r\n":                                                false,
		"HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n":                     true,
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n": false,
	} {
		require.Equal(t, stays, parsed(t, text).keepAlive, text)
	}
}

func TestTheAbsoluteFormIsTaken(t *testing.T) {
	for target, path := range map[string]string{"http://x/a?b": "/a", "HTTP://x:80": "/", "http://x/": "/"} {
		require.Equal(t, path, string(parsed(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n").path), target)
	}
}

// refusals are heads and the status that each is refused with.
var refusals = map[string]int{
	"GET / HTTP/1.1\r\n\r\n":                                                                         400, // no host
	"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n":                                                   400,
	"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n":                                                            400,
	"GET  / HTTP/1.1\r\nHost: x\r\n\r\n":                                                             400,
	"GET / a HTTP/1.1\r\nHost: x\r\n\r\n":                                                            400,
	"GET /\r\n\r\n":                                                                                  400, // HTTP/0.9
	"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n":                                                            400,
	"GET a HTTP/1.1\r\nHost: x\r\n\r\n":                                                              400,
	"GET ftp://x/y HTTP/1.1\r\nHost: x\r\n\r\n":                                                      400,
	"GET / HTTP/1.1\r\nHost : x\r\n\r\n":                                                             400,
	"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n":                                                   400,
	"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n":                                                         400,
	"GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n":                                                       400,
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n":                                                 400,
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n":                                                   400, // a bare CR
	"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n":                                                            400,
	"GET / http/1.1\r\nHost: x\r\n\r\n":                                                              400,
	"GET / HTTP/1.10\r\nHost: x\r\n\r\n":                                                             400,
	"GET / HTTP/2.0\r\nHost: x\r\n\r\n":                                                              505,
	"GET / HTTP/0.9\r\n\r\n":                                                                         505,
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n":                                        405,
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                          405,
	"get / HTTP/1.1\r\nHost: x\r\n\r\n":                                                              501,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n":                    400,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n":                                      400,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n":                                        400,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n":                                        400,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n":                                           400,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n":                      400,
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n":                                   413,
	"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n":                                411,
	"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n":                          501,
	"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n":     501,
	"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n": 501,
	"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n":           400,
	"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n":                                           400,
	"GET / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n":                                              417,
	"GET /" + strings.Repeat("a", maxLine) + " HTTP/1.1\r\nHost: x\r\n\r\n":                          414,
	"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", maxFields) + "\r\n":                 431,
	"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", maxHead) + "\r\n\r\n":                   431,
	"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", maxHead):                                431, // without an end, too
	strings.Repeat("\r\n", maxLine):                                                                  400, // no request at all
	strings.Repeat("a", maxLine):                                                                     414,
}

func TestWhatIsNotARequestIsRefused(t *testing.T) {
	for text, want := range refusals {
		var r request
		_, status := r.parse([]byte(text))
		require.Equal(t, want, status, "%.200q", text)
	}
}

func TestARequestThatHasNotComeIsWaitedFor(t *testing.T) {
	text := "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n"
	for i := range len(text) {
		var r request
		n, status := r.parse([]byte(text[:i]))
		require.Zero(t, n, i)
		require.Zero(t, status, i)
	}
	r := parsed(t, text)
	n, status := r.parse([]byte(text + text))
	require.Equal(t, len(text), n, "the next isn't touched")
	require.Zero(t, status)
}

func TestParsingAllocatesNothing(t *testing.T) {
	text := []byte("GET /a/b?c HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nRange: bytes=0-9\r\nUser-Agent: y\r\n\r\n")
	r := new(request)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if n, status := r.parse(text); n != len(text) || status != 0 {
			t.Error(n, status)
		}
	}))
}

// FuzzParse compares with net/http: what is accepted here is accepted there, and means
// the same.
func FuzzParse(f *testing.F) {
	for text := range refusals {
		if len(text) < 200 {
			f.Add([]byte(text))
		}
	}
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /a/../b?c HTTP/1.0\nConnection: keep-alive\nRange: bytes=1-\n\n", "GET http://x/y HTTP/1.1\r\nHost: z\r\nContent-Length: 5\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\", W/\"b\"\r\nIf-Modified-Since: Sat, 21 Nov 2026 21:00:00 GMT\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		n, status := r.parse(b)
		if n > len(b) || n < 0 {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
		if status != 0 || n == 0 {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(b, "\r\n"))))
		if err != nil {
			t.Fatalf("%q is refused by net/http: %v", b[:n], err)
		}
		same := theirs.Method == string(r.method) && theirs.RequestURI == string(r.target) && theirs.ProtoMajor == 1 &&
			min(theirs.ProtoMinor, 1) == int(r.minor) && theirs.ContentLength == r.length && theirs.TransferEncoding == nil &&
			theirs.Close == !r.keepAlive && theirs.Header.Get("Range") == string(r.ranges)
		if !same {
			t.Fatalf("%q is %+v and %+v", b[:n], r, theirs)
		}
		checkPath(t, &r)
	})
}

// checkPath sees that what is made of a request's path can't lead out.
func checkPath(t *testing.T, r *request) {
	clean, _, status := cleanPath(r.path, nil)
	if status != 0 {
		return
	}
	if len(clean) == 0 || clean[0] != '/' || bytes.IndexByte(clean, 0) >= 0 {
		t.Fatalf("%q becomes %q", r.path, clean)
	}
	parts := append(bytes.TrimSuffix(bytes.Clone(clean), []byte("/")), '/')
	for _, bad := range []string{"//", "/./", "/../"} {
		if bytes.Contains(parts, []byte(bad)) {
			t.Fatalf("%q becomes %q", r.path, clean)
		}
	}
}
