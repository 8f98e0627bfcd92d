package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

// bothWays runs the test on both engines, with and without a memory for files.
func bothWays(t *testing.T, site *site, test func(t *testing.T, s *running)) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, d := range []time.Duration{time.Hour, 0} {
			test(t, serve(t, engine, site.dir, func(c *config) { c.revalidate = d }))
		}
	})
}

func get(t *testing.T, method, url string, fields ...string) (*http.Response, []byte) {
	r, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: transport}
	resp, err := client.Do(r)
	require.NoError(t, err, url)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err, url)
	return resp, b
}

var transport = &http.Transport{DisableCompression: true, DisableKeepAlives: true}

// What is served is what net/http's FileServer serves.
func TestFilesAreServedAsByNetHTTP(t *testing.T) {
	site := plant(t)
	theirs := httptest.NewServer(http.FileServer(http.Dir(site.dir)))
	defer theirs.Close()
	lastModified := time.Now().Add(-30 * time.Minute).UTC().Format(http.TimeFormat)
	earlier := time.Now().Add(-2 * time.Hour).UTC().Format(http.TimeFormat)
	requests := [][]string{
		{}, {"Range", "bytes=0-0"}, {"Range", "bytes=5-"}, {"Range", "bytes=-7"}, {"Range", "bytes=1-10"}, {"Range", "bytes=99999999-"}, {"Range", "bytes=5-1"},
		{"Range", "bytes=x"}, {"If-Modified-Since", lastModified}, {"If-Modified-Since", earlier}, {"If-Unmodified-Since", lastModified}, {"If-Unmodified-Since", earlier},
		{"If-Range", earlier, "Range", "bytes=0-3"}, {"If-Range", `"x"`, "Range", "bytes=0-3"}, {"If-None-Match", "*"}, {"If-Match", `"x"`},
		{"Range", "bytes=0-1,3-4"}, {"Range", "bytes=0-99999999,0-99999999"},
	}
	bothWays(t, site, func(t *testing.T, s *running) {
		for _, path := range []string{"/empty.txt", "/one.txt", "/small.html", "/kept.css", "/open.js", "/64k.bin", "/big.png", "/noext", "/bignoext", "/dir/", "/link.html", "/list/a%20b.txt", "/.hidden", "/nothing", "/dir/nothing", "/one.txt/x"} {
			for i, fields := range requests {
				if path == "/big.png" && i > 1 || path == "/empty.txt" && len(fields) > 0 && fields[0] == "Range" {
					continue // net/http answers ranges of nothing with all of it
				}
				for _, method := range []string{"GET", "HEAD"} {
					if method == "HEAD" && (len(fields) == 2 && fields[0] == "Range" || len(fields) == 4) {
						continue // a range is for GET only, by RFC 9110
					}
					what := fmt.Sprint(method, " ", path, " ", fields)
					want, wantBody := get(t, method, theirs.URL+path, fields...)
					got, body := get(t, method, "http://"+s.addr+path, fields...)
					require.Equal(t, want.StatusCode, got.StatusCode, what)
					if want.StatusCode >= 400 {
						continue
					}
					for _, f := range []string{"Last-Modified", "Accept-Ranges", "Content-Range", "Content-Length"} {
						if want.StatusCode == 304 && f == "Content-Length" || f == "Content-Length" && strings.HasPrefix(want.Header.Get("Content-Type"), "multipart") {
							continue
						}
						if want.StatusCode == 304 && f == "Accept-Ranges" {
							continue
						}
						require.Equal(t, want.Header[f], got.Header[f], "%s: %s", what, f)
					}
					wantType, wantParts := contents(t, want, wantBody)
					gotType, parts := contents(t, got, body)
					require.Equal(t, wantType, gotType, what)
					require.True(t, bytes.Equal(wantParts, parts), what)
					require.Equal(t, int64(len(body)), max(got.ContentLength, 0)*int64(boolToInt(method == "GET")), what)
				}
			}
		}
	})
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// contents returns the type of an answer and its body, that of multipart/byteranges taken
// apart.
func contents(t *testing.T, r *http.Response, body []byte) (kind string, b []byte) {
	kind = r.Header.Get("Content-Type")
	m, params, err := mime.ParseMediaType(kind)
	if err != nil || m != "multipart/byteranges" {
		return kind, body
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			return m, b
		}
		require.NoError(t, err)
		piece, err := io.ReadAll(p)
		require.NoError(t, err)
		b = fmt.Appendf(b, "%s %s %s\n", p.Header.Get("Content-Type"), p.Header.Get("Content-Range"), piece)
	}
}

func TestTagsAreTaken(t *testing.T) {
	site := plant(t)
	bothWays(t, site, func(t *testing.T, s *running) {
		url := "http://" + s.addr + "/64k.bin"
		resp, _ := get(t, "GET", url)
		tag := resp.Header.Get("ETag")
		require.Regexp(t, `^"[0-9a-f]+-10000"$`, tag)
		for _, x := range []struct {
			status int
			fields []string
		}{
			{304, []string{"If-None-Match", `"x", W/` + tag}}, {200, []string{"If-None-Match", `"x"`}}, {412, []string{"If-Match", "W/" + tag}}, {200, []string{"If-Match", tag}},
			{206, []string{"If-Range", tag, "Range", "bytes=0-9"}}, {200, []string{"If-Range", "W/" + tag, "Range", "bytes=0-9"}},
			{206, []string{"If-Range", resp.Header.Get("Last-Modified"), "Range", "bytes=0-9"}},
			{416, []string{"Range", "bytes=65536-"}}, {304, []string{"If-None-Match", "*", "Range", "bytes=65536-"}},
		} {
			r, body := get(t, "GET", url, x.fields...)
			require.Equal(t, x.status, r.StatusCode, x.fields)
			switch x.status {
			case 200:
				require.True(t, bytes.Equal(site.files["/64k.bin"], body))
			case 304:
				require.Equal(t, tag, r.Header.Get("ETag"))
				require.Empty(t, r.Header.Values("Content-Length"))
			case 416:
				require.Equal(t, "bytes */65536", r.Header.Get("Content-Range"))
			}
		}
	})
}

func TestDirectoriesAreListed(t *testing.T) {
	site := plant(t)
	bothWays(t, site, func(t *testing.T, s *running) {
		url := "http://" + s.addr
		resp, body := get(t, "GET", url+"/list/")
		require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
		page := string(body)
		for _, line := range []string{
			`<a href="a%20b.txt">a b.txt</a>`, `<a href="%3Ci%3E&amp;%22%27.txt">&lt;i&gt;&amp;&#34;&#39;.txt</a>`, `<a href="./a:b">a:b</a>`, `<a href="sub/">sub/</a>`,
			`<a href="%252e%252e">%2e%2e</a>`, "<a href=\"line%0Abreak\">", `<a href="../">../</a>`, `<a href="index.html/">index.html/</a>`,
		} {
			require.Contains(t, page, line)
		}
		_, body = get(t, "GET", url+"/")
		require.NotContains(t, string(body), `"../"`)
		require.Contains(t, string(body), `<a href="dir/">dir/</a>`)
		resp, body = get(t, "GET", url+"/dir?x=y")
		require.Equal(t, 301, resp.StatusCode)
		require.Equal(t, "/dir/?x=y", resp.Header.Get("Location"))
		require.NotEmpty(t, body)
		_, body = get(t, "GET", url+"/dir/")
		require.True(t, bytes.Equal(site.files["/dir/index.html"], body))
		resp, body = get(t, "HEAD", url+"/list/")
		require.Equal(t, int64(len(page)), resp.ContentLength)
		require.Empty(t, body)
		// Not another host's.
		require.Contains(t, ask(t, s.addr, "GET //list/../dir HTTP/1.0\r\n\r\n"), "\r\nLocation: /dir/\r\n")
		require.Contains(t, ask(t, s.addr, "GET /list/%0d%0aa:b/../sub HTTP/1.0\r\n\r\n"), "\r\nLocation: /list/sub/\r\n")
	})
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, func(c *config) { c.list = false })
		resp, _ := get(t, "GET", "http://"+s.addr+"/list/")
		require.Equal(t, 403, resp.StatusCode)
	})
}

func TestNoPathLeadsOut(t *testing.T) {
	site := plant(t)
	secret := filepath.Join(filepath.Dir(site.dir), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o644))
	bothWays(t, site, func(t *testing.T, s *running) {
		for path, status := range map[string]int{
			"/../secret": 400, "/%2e%2e/secret": 400, "/list/../../secret": 400, "/..%2fsecret": 404, "/list/..%2f..%2fsecret": 404, "/.%2e/secret": 400,
			"/absolute": 404, "/relative": 404, "/up/secret": 404, "/up": 404, "/up/": 404, "/circle": 404, "/fifo": 403, "/list/%252e%252e": 200, "/one.txt%00": 400,
			"/%": 400, "/%zz": 400, "/one.txt/": 404, "/" + strings.Repeat("a", 300): 404, "/" + strings.Repeat("a/", 3000): 404, "//": 200, "/list/../one.txt": 200,
		} {
			text := ask(t, s.addr, "GET "+path+" HTTP/1.0\r\n\r\n")
			require.Contains(t, text, fmt.Sprintf("HTTP/1.1 %d ", status), path)
			require.NotContains(t, text, "secret", path)
			require.NotContains(t, text, "root:", path)
		}
	})
}

func TestAFileThatChangesIsSeenAnew(t *testing.T) {
	takesSeconds(t)
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, func(c *config) { c.revalidate = 20 * time.Millisecond })
		for _, size := range []int{500, maxKept + 500} {
			path := fmt.Sprint("/changing", size, ".txt")
			url := "http://" + s.addr + path
			old, other := bytes.Repeat([]byte{'a'}, size), bytes.Repeat([]byte{'b'}, size)
			site.add(t, path, old)
			_, body := get(t, "GET", url)
			require.True(t, bytes.Equal(old, body))
			temp := filepath.Join(site.dir, "temp")
			require.NoError(t, os.WriteFile(temp, other, 0o644))
			require.NoError(t, os.Rename(temp, filepath.Join(site.dir, path)))
			await(t, func() bool {
				_, body := get(t, "GET", url)
				return bytes.Equal(other, body)
			})
			require.NoError(t, os.Remove(filepath.Join(site.dir, path)))
			await(t, func() bool {
				resp, _ := get(t, "GET", url)
				return resp.StatusCode == 404
			})
		}
	})
}

// await asks again and again until the condition holds.
func await(t *testing.T, f func() bool) {
	for end := time.Now().Add(patience); !f(); {
		require.True(t, time.Now().Before(end), "it never happens")
	}
}

func TestManyFilesAreServedOneAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	const n = maxFiles + 50
	for i := range n {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), fmt.Append(nil, "file ", i), 0o644))
		old := time.Now().Add(-time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(dir, fmt.Sprint(i)), old, old))
	}
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, dir, nil)
		c := connect(t, s.addr)
		r := bufio.NewReader(c)
		for i := range 2 * n {
			say(t, c, fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i%n))
			_, body := answer(t, r, "GET")
			require.Equal(t, fmt.Sprint("file ", i%n), string(body))
		}
		s.stop()
		require.LessOrEqual(t, len(s.workers[0].files.known), maxFiles)
	})
}
