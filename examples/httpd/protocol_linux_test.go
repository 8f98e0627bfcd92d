package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

const plaintextRequest = "GET /plaintext HTTP/1.1\r\nHost: x\r\n\r\n"

func TestPlaintext(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), nil)
		for _, version := range []string{"1.1", "1.0"} {
			c := connect(t, s.addr)
			r := bufio.NewReader(c)
			for range 3 {
				say(t, c, "GET /plaintext HTTP/"+version+"\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
				resp, body := answer(t, r, "GET")
				require.Equal(t, "Hello, World!", string(body))
				require.Equal(t, "text/plain", resp.Header.Get("Content-Type"))
				require.Equal(t, serverName, resp.Header.Get("Server"))
				date, err := http.ParseTime(resp.Header.Get("Date"))
				require.NoError(t, err)
				require.WithinDuration(t, time.Now(), date, patience)
				require.Equal(t, version == "1.0", resp.Header.Get("Connection") == "keep-alive")
			}
			say(t, c, "HEAD /plaintext HTTP/"+version+"\r\nHost: x\r\nConnection: close\r\n\r\n")
			resp, _ := answer(t, r, "HEAD")
			require.Equal(t, int64(13), resp.ContentLength)
			require.True(t, resp.Close)
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Empty(t, rest, "the connection is closed, in order")
		}
	})
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	site := plant(t)
	paths := []string{"/plaintext", "/one.txt", "/64k.bin", "/plaintext", "/nothing", "/empty.txt", "/big.png", "/open.js", "/small.html", "/list/", "/plaintext"}
	bothWays(t, site, func(t *testing.T, s *running) {
		for _, cut := range []int{1 << 20, 1000, 7} { // the requests come in pieces of this size
			c := connect(t, s.addr)
			all := ""
			for _, p := range paths {
				all += "GET " + p + " HTTP/1.1\r\nHost: x\r\n\r\n"
			}
			go func() {
				for rest := []byte(all); len(rest) > 0; rest = rest[min(cut, len(rest)):] {
					if _, err := c.Write(rest[:min(cut, len(rest))]); err != nil {
						return
					}
				}
			}()
			r := bufio.NewReader(c)
			for _, p := range paths {
				resp, body := answer(t, r, "GET")
				if want, ok := site.files[p]; ok {
					require.True(t, bytes.Equal(want, body), p)
				}
				require.Equal(t, p == "/nothing", resp.StatusCode == 404, p)
			}
		}
	})
}

// As many requests as the client likes, before it reads the first answer: the server
// holds it back at some time, and loses nothing.
func TestAClientThatReadsLateIsHeldBack(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, nil)
		c := connect(t, s.addr)
		const one = "GET /small.html HTTP/1.1\r\nHost: x\r\n\r\n"
		sent := make(chan int, 1)
		go func() {
			n := 0
			for batch := []byte(strings.Repeat(one, 1000)); n < 20_000; n += 1000 {
				if _, err := c.Write(batch); err != nil {
					break
				}
			}
			sent <- n
		}()
		await(t, func() bool {
			paused := s.look(t, func(w *worker) int {
				if len(w.sessions) == 1 && w.sessions[0].paused {
					return 1
				}
				return 0
			})
			return paused == 1
		})
		r := bufio.NewReader(c)
		for range 20_000 {
			_, body := answer(t, r, "GET")
			require.True(t, bytes.Equal(site.files["/small.html"], body))
		}
		require.Equal(t, 20_000, <-sent)
	})
}

func TestRequestsThatAreNoneAreRefusedAndTheConnectionClosed(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), nil)
		for text, status := range refusals {
			if strings.HasSuffix(text, strings.Repeat("a", 100)) && status == 431 { // what follows must not matter
				text += "\r\n\r\n"
			}
			got := ask(t, s.addr, text+plaintextRequest)
			require.True(t, strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", status)), "%.100q: %q", text, got)
			require.Contains(t, got, "\r\nConnection: close\r\n")
			require.NotContains(t, got, "Hello", "%.100q", text)
			require.Equal(t, status == 405, strings.Contains(got, "\r\nAllow: GET, HEAD\r\n"))
		}
	})
}

func TestABodyIsDropped(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), nil)
		c := connect(t, s.addr)
		r := bufio.NewReader(c)
		for _, n := range []int{1, 100, 100_000, maxBody} {
			body := strings.Repeat(plaintextRequest, n/len(plaintextRequest)+1)[:n] // it could be mistaken for requests
			go say(t, c, fmt.Sprintf("GET /plaintext HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%sGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", n, body))
			resp, _ := answer(t, r, "GET")
			require.Equal(t, 200, resp.StatusCode)
			resp, _ = answer(t, r, "GET")
			require.Equal(t, 404, resp.StatusCode)
		}
		// Whether the body comes after this answer, nobody knows.
		got := ask(t, s.addr, "GET /plaintext HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 37\r\n\r\n"+plaintextRequest)
		require.Equal(t, 1, strings.Count(got, "Hello"))
		require.Contains(t, got, "\r\nConnection: close\r\n")
		// A close with the body unread would be a reset.
		got = ask(t, s.addr, fmt.Sprintf("GET /plaintext HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", maxBody, strings.Repeat("x", maxBody)))
		require.Contains(t, got, "Hello")
	})
}

func TestTheEndOfTheStreamIsNotTheEndOfTheAnswers(t *testing.T) {
	site := plant(t)
	bothWays(t, site, func(t *testing.T, s *running) {
		c := connect(t, s.addr)
		say(t, c, "GET /big.png HTTP/1.1\r\nHost: x\r\n\r\n"+plaintextRequest+"GET /half")
		require.NoError(t, c.CloseWrite())
		r := bufio.NewReader(c)
		_, body := answer(t, r, "GET")
		require.True(t, bytes.Equal(site.files["/big.png"], body))
		answer(t, r, "GET")
		rest, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Empty(t, rest)
	})
}

func TestAResetHarmsNoOther(t *testing.T) {
	site := plant(t)
	bothWays(t, site, func(t *testing.T, s *running) {
		for _, text := range []string{"", "GET", plaintextRequest, "GET /big.png HTTP/1.1\r\nHost: x\r\n\r\n", "GET /one.txt HTTP/1.1\r\nHost: x\r\n\r\n"} {
			c := connect(t, s.addr)
			say(t, c, text)
			require.NoError(t, c.SetLinger(0))
			require.NoError(t, c.Close())
		}
		require.Contains(t, ask(t, s.addr, "GET /plaintext HTTP/1.0\r\n\r\n"), "Hello")
		await(t, func() bool { return s.count(t) == 0 })
	})
}

// look sums up what there is at the workers, each on its loop.
func (s *running) look(t *testing.T, f func(w *worker) int) (n int) {
	for _, w := range s.workers {
		k := make(chan int, 1)
		require.NoError(t, w.loop.Post(func() { k <- f(w) }))
		n += <-k
	}
	return n
}

// count returns how many sessions there are.
func (s *running) count(t *testing.T) int {
	return s.look(t, func(w *worker) int { return len(w.sessions) })
}

func TestSlowClientsAreGivenUp(t *testing.T) {
	takesSeconds(t)
	site := plant(t)
	const short = 200 * time.Millisecond
	end := func(t *testing.T, text string, more func(c io.Writer), engine string, change func(*config)) string {
		s := serve(t, engine, site.dir, change)
		c := connect(t, s.addr)
		say(t, c, text)
		if more != nil {
			go more(c)
		}
		b, _ := io.ReadAll(c) // what is still written to it can reset it
		require.NoError(t, c.Close())
		await(t, func() bool { return s.count(t) == 0 })
		return string(b)
	}
	drip := func(c io.Writer) {
		for {
			if _, err := io.WriteString(c, "a"); err != nil {
				return
			}
			time.Sleep(short / 10) // a slow client is what is tried
		}
	}
	harness.EachEngine(t, func(t *testing.T, engine string) {
		header := func(c *config) { c.header = short }
		require.Empty(t, end(t, "", nil, engine, header), "nothing was asked")
		require.Contains(t, end(t, "GET / HT", nil, engine, header), " 408 ")
		end(t, "GET / HTTP/1.1\r\nA: ", drip, engine, header)
		got := end(t, plaintextRequest+"GET", nil, engine, header)
		require.Contains(t, got, " 200 ")
		require.Contains(t, got, " 408 ")
		idle := func(c *config) { c.idle = short }
		require.NotContains(t, end(t, plaintextRequest, nil, engine, idle), " 408 ")
		end(t, "GET /plaintext HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", drip, engine, idle)
	})
}

// A client that doesn't read its answer is cut off.
func TestReceiversMustMakeProgress(t *testing.T) {
	takesSeconds(t)
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, func(c *config) { c.send = time.Second })
		for _, path := range []string{"/big.png", "/64k.bin"} {
			c := connect(t, s.addr)
			say(t, c, strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n", 500))
			await(t, func() bool { return s.count(t) == 1 })
			await(t, func() bool { return s.count(t) == 0 })
		}
	})
}

func TestAFileThatIsCutWhileItIsSentEndsTheConnection(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, nil)
		site.add(t, "/cut", noise(bigSize))
		c := connect(t, s.addr)
		say(t, c, "GET /cut HTTP/1.1\r\nHost: x\r\n\r\n")
		r := bufio.NewReader(c)
		_, err := r.Peek(1)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(filepath.Join(site.dir, "cut"), 1000))
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		require.Error(t, err, "%d bytes came", n)
		require.Less(t, n, int64(bigSize))
	})
}

func TestTooManyConnectionsAreToldSo(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), func(c *config) { c.conns = 2 })
		for range 2 {
			c := connect(t, s.addr)
			say(t, c, plaintextRequest)
			resp, _ := answer(t, bufio.NewReader(c), "GET")
			require.Equal(t, 200, resp.StatusCode)
			defer c.Close()
		}
		got := ask(t, s.addr, plaintextRequest)
		require.Contains(t, got, " 503 ")
		require.Contains(t, got, "\r\nRetry-After: 1\r\n")
	})
}

// With all descriptors in use a connection is told so, and when there are some again, all
// is well.
func TestDescriptorsMayRunOut(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		const limit = 64
		c := startChild(t, limit, "-engine", engine, "-revalidate", "0", site.dir)
		var held []io.Closer
		refused := ""
		for range limit {
			n := connect(t, c.addr)
			say(t, n, plaintextRequest)
			resp, _ := answer(t, bufio.NewReader(n), "GET")
			held = append(held, n)
			if resp.StatusCode != 200 {
				refused = resp.Status
				break
			}
		}
		require.Equal(t, "503 Service Unavailable", refused)
		await(t, func() bool { return strings.Contains(c.errs.String(), "too many open files") })
		for _, n := range held {
			require.NoError(t, n.Close())
		}
		await(t, func() bool {
			resp, _ := get(t, "GET", "http://"+c.addr+"/64k.bin")
			return resp.StatusCode == 200
		})
		c.end(t, os.Interrupt)
	})
}

func TestTheEndIsOrderly(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, 256, "-engine", engine, "-loops", "2", site.dir)
		idle := connect(t, c.addr)
		say(t, idle, plaintextRequest)
		idleReader := bufio.NewReader(idle)
		answer(t, idleReader, "GET")
		half := connect(t, c.addr)
		say(t, half, plaintextRequest+"GET /plaintext HTTP/1.1\r\n") // its next request has begun
		halfReader := bufio.NewReader(half)
		answer(t, halfReader, "GET")
		big := connect(t, c.addr)
		say(t, big, "GET /big.png HTTP/1.1\r\nHost: x\r\n\r\n")
		bigReader := bufio.NewReader(big)
		_, err := bigReader.Peek(1)
		require.NoError(t, err)
		require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
		_, err = idleReader.ReadByte()
		require.ErrorIs(t, err, io.EOF, "an idle client sees an orderly end")
		say(t, half, "Host: x\r\n\r\n")
		resp, body := answer(t, halfReader, "GET")
		require.Equal(t, "Hello, World!", string(body))
		require.True(t, resp.Close)
		require.NoError(t, half.Close())
		_, body = answer(t, bigReader, "GET")
		require.True(t, bytes.Equal(site.files["/big.png"], body))
		require.NoError(t, big.Close())
		_, err = io.ReadAll(c.out)
		require.NoError(t, err)
		require.NoError(t, c.cmd.Wait(), c.errs)
		require.Empty(t, c.errs.String(), "nobody was cut off")
	})
}

func TestTheEndDoesNotWaitForEver(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := startChild(t, 256, "-engine", engine, "-drain", "100ms", site.dir)
		big := connect(t, c.addr)
		say(t, big, "GET /big.png HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := bufio.NewReader(big).Peek(1)
		require.NoError(t, err)
		c.end(t, syscall.SIGTERM)
		require.Contains(t, c.errs.String(), "1 connections were cut off") // Wait has seen to that it is all
	})
}

func TestTheLogSaysWhatWasAsked(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		name := filepath.Join(t.TempDir(), "log")
		s := serve(t, engine, site.dir, func(c *config) { c.log = name })
		ask(t, s.addr, "GET /one.txt?a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		ask(t, s.addr, "HEAD /64k.bin HTTP/1.0\r\n\r\n")
		ask(t, s.addr, "GET /64k.bin HTTP/1.0\r\nRange: bytes=0-9\r\n\r\n")
		ask(t, s.addr, "GET /\"nothing HTTP/1.0\r\n\r\n")
		ask(t, s.addr, "\x00\r\n")
		s.stop()
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		date := `127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [-+]\d{4}\] `
		require.Regexp(t, `^`+date+`"GET /one\.txt\?a HTTP/1\.1" 200 1\n`+date+`"HEAD /64k\.bin HTTP/1\.0" 200 0\n`+date+`"GET /64k\.bin HTTP/1\.0" 206 10\n`+
			date+`"GET /\\x22nothing HTTP/1\.0" 404 10\n`+date+`"-" 400 12\n$`, string(b))
	})
}

// A request costs no allocation: a few for the whole of the measurement, from elsewhere.
func TestRequestsAllocateNothing(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, func(c *config) { c.revalidate = time.Hour })
		c := connect(t, s.addr)
		await(t, func() bool { // what has just changed isn't kept
			get(t, "GET", "http://"+s.addr+"/small.html")
			return s.look(t, func(w *worker) int { return len(w.files.known) }) > 0
		})
		for _, path := range []string{"/plaintext", "/small.html", "/64k.bin"} {
			request := []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n")
			back := make([]byte, 1<<20)
			exchange := func() {
				_, err := c.Write(request)
				n := 0
				for size := -1; err == nil && (size < 0 || n < size); {
					var k int
					k, err = c.Read(back[n:])
					n += k
					if end := bytes.Index(back[:n], []byte("\r\n\r\n")); size < 0 && end >= 0 {
						size = end + 4 + len(site.files[path])
						if path == "/plaintext" {
							size = end + 4 + 13
						}
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
			for range 10 {
				exchange()
			}
			const n = 2000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				exchange()
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.Mallocs-before.Mallocs, uint64(n/20), path)
		}
	})
}
