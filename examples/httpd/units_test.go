package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPathsAreCleaned(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a": "/a", "/a/b/": "/a/b/", "/a.b/c..d": "/a.b/c..d", "//": "/", "///a//b": "/a/b",
		"/.": "/", "/a/.": "/a/", "/a/./b": "/a/b", "/a/..": "/", "/a/../b": "/b", "/a/b/../../c/": "/c/", "/a/b/..": "/a/",
		"/...": "/...", "/.a": "/.a", "/a%20b": "/a b", "/%2e%2E/%61": "", "/a/%2e%2e/b": "/b", "/%41%zz": "", "/%4": "", "/%": "",
		"/..": "", "/../a": "", "/a/../../b": "", "/%00": "", "/a%2fb": "", "/a%2Fb": "", "/a%5cb": `/a\b`, "/%e2%82%ac": "/€",
	} {
		room := make([]byte, 0, 64)
		clean, _, status := cleanPath([]byte(path), room)
		require.Equal(t, want, string(clean), path)
		require.Equal(t, want == "", status != 0, path)
	}
}

func TestRangesAreRead(t *testing.T) {
	for _, x := range []struct {
		field string
		want  []span
		v     verdict
	}{
		{"bytes=0-0", []span{{0, 1}}, partial},
		{"Bytes=2-", []span{{2, 98}}, partial},
		{"bytes=-10", []span{{90, 10}}, partial},
		{"bytes=-1000", []span{{0, 100}}, partial},
		{"bytes=90-1000", []span{{90, 10}}, partial},
		{"bytes=0-9, 20-29 ,,-1", []span{{0, 10}, {20, 10}, {99, 1}}, partial},
		{"bytes=0-0,200-300", []span{{0, 1}}, partial},
		{"bytes=0-99999999999999999999999999", []span{{0, 100}}, partial},
		{"bytes=100-", nil, none},
		{"bytes=-0", nil, none},
		{"bytes=", nil, none},
		{"bytes=a-b", nil, none},
		{"bytes=5-4", nil, none},
		{"bytes=5", nil, none},
		{"bytes=-", nil, none},
		{"bytes=1-2-3", nil, none},
		{"lines=1-2", nil, whole},
		{"bytes=0-,0-", nil, whole}, // more than there is
		{"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", nil, whole},
	} {
		got, v := parseRanges([]byte(x.field), 100, nil)
		require.Equal(t, x.v, v, x.field)
		if v == partial {
			require.Equal(t, x.want, got, x.field)
		}
	}
}

func FuzzRanges(f *testing.F) {
	for _, v := range []string{"bytes=0-0", "bytes=-5,2-", "bytes=9223372036854775807-9223372036854775807", "bytes=0-9,1-3"} {
		f.Add(v, int64(100))
	}
	f.Fuzz(func(t *testing.T, v string, size int64) {
		if size < 0 {
			return
		}
		got, verdict := parseRanges([]byte(v), size, nil)
		total := int64(0)
		for _, s := range got {
			if s.off < 0 || s.n <= 0 || s.off > size || s.n > size-s.off {
				t.Fatalf("%v of %d", s, size)
			}
			total += s.n
		}
		if verdict == partial && (len(got) == 0 || total > size) {
			t.Fatal(got)
		}
	})
}

func TestConditionsAreEvaluatedInOrder(t *testing.T) {
	f := &file{id: identity{mtime: 1e18}, size: 5}
	f.describe("a/b")
	before, after := f.modified.Add(-time.Second).Format(time.RFC1123), f.modified.Add(time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT")
	before = before[:len(before)-3] + "GMT"
	for _, x := range []struct {
		r    request
		want int
	}{
		{request{}, 0},
		{request{ifMatch: []byte("*")}, 0},
		{request{ifMatch: []byte(`"x", ` + f.etag)}, 0},
		{request{ifMatch: []byte(`"x"`)}, 412},
		{request{ifMatch: []byte("W/" + f.etag)}, 412}, // strong comparison
		{request{ifMatch: []byte(f.etag), ifUnmodifiedSince: []byte(before)}, 0},
		{request{ifUnmodifiedSince: []byte(before)}, 412},
		{request{ifUnmodifiedSince: []byte(f.lastModified)}, 0},
		{request{ifUnmodifiedSince: []byte("yesterday")}, 0},
		{request{ifNoneMatch: []byte("*")}, 304},
		{request{ifNoneMatch: []byte(`"x" , W/` + f.etag)}, 304},
		{request{ifNoneMatch: []byte(`"x"`), ifModifiedSince: []byte(after)}, 0},
		{request{ifNoneMatch: []byte(`x` + f.etag)}, 0},
		{request{ifNoneMatch: []byte(`"`)}, 0},
		{request{ifModifiedSince: []byte(f.lastModified)}, 304},
		{request{ifModifiedSince: []byte(after)}, 304},
		{request{ifModifiedSince: []byte(before)}, 0},
		{request{ifModifiedSince: []byte(f.modified.Format(time.ANSIC))}, 304},
		{request{ifMatch: []byte(`"x"`), ifNoneMatch: []byte("*")}, 412},
	} {
		require.Equal(t, x.want, x.r.precondition(f), "%s %s %s %s", x.r.ifMatch, x.r.ifUnmodifiedSince, x.r.ifNoneMatch, x.r.ifModifiedSince)
	}
	for v, holds := range map[string]bool{f.etag: true, "W/" + f.etag: false, `"x"`: false, f.lastModified: true, before: false, after: false, "": false} {
		r := request{ifRange: []byte(v)}
		require.Equal(t, holds, r.rangeHolds(f), v)
	}
}

func TestTheLogCanNotBeForged(t *testing.T) {
	require.Equal(t, `/a\x22b\x5cc\xff`, string(appendQuoted(nil, []byte("/a\"b\\c\xff"))))
}
