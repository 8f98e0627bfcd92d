package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

// lastRequest returns one that is the last of its connection.
func lastRequest(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
}

// What a client sends behind its last request, at whatever time, doesn't cost it the answer:
// a close with that unread, or before it comes, would be a reset.
func TestWhatComesBehindTheLastRequestIsDropped(t *testing.T) {
	site := plant(t)
	rubbish := string(noise(1 << 20))
	bothWays(t, site, func(t *testing.T, s *running) {
		for _, path := range []string{"/one.txt", "/64k.bin", "/big.png"} {
			for _, when := range []string{"with the request", "during the answer", "after the answer"} {
				c := connect(t, s.addr)
				r := bufio.NewReader(c)
				send := make(chan bool, 1) // what is sent while nobody reads could wait for that
				sent := make(chan error, 1)
				go func() {
					<-send
					_, err := io.WriteString(c, rubbish)
					sent <- err
				}()
				if when == "with the request" {
					say(t, c, lastRequest(path)+rubbish[:100])
					send <- true
				} else {
					say(t, c, lastRequest(path))
				}
				_, err := r.Peek(1)
				require.NoError(t, err, "%s %s", path, when)
				if when == "during the answer" {
					send <- true
				}
				resp, body := answer(t, r, "GET")
				require.True(t, resp.Close)
				require.True(t, bytes.Equal(site.files[path], body), "%s %s", path, when)
				_, err = r.ReadByte()
				require.ErrorIs(t, err, io.EOF, "%s %s", path, when)
				if when == "after the answer" {
					send <- true
				}
				require.NoError(t, <-sent, "%s %s", path, when)
				require.Equal(t, 1, s.count(t), "the end of the client's stream is awaited")
				require.NoError(t, c.Close())
				await(t, func() bool { return s.count(t) == 0 })
			}
		}
	})
}

func TestWhatComesBehindARefusalIsDropped(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), nil)
		for status, head := range map[int]string{
			400: "GET / HTTP/1.1\r\nHost : x\r\n",
			413: "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n",
			431: "GET / HTTP/1.1\r\nHost: x\r\nA: ",
		} {
			c := connect(t, s.addr)
			say(t, c, head+strings.Repeat("a", 4<<20)) // all of it before it reads
			r := bufio.NewReader(c)
			resp, _ := answer(t, r, "GET")
			require.Equal(t, status, resp.StatusCode)
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF, status)
			say(t, c, "more")
			require.Equal(t, 1, s.count(t), status)
			require.NoError(t, c.Close())
			await(t, func() bool { return s.count(t) == 0 })
		}
	})
}

// A client that doesn't close after its last answer is let go, whether it says something
// or not.
func TestTheClientsEndIsNotAwaitedForEver(t *testing.T) {
	takesSeconds(t)
	const short = 200 * time.Millisecond
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), func(c *config) { c.linger = short })
		for _, drips := range []bool{false, true} {
			c := connect(t, s.addr)
			say(t, c, lastRequest("/plaintext"))
			b, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Contains(t, string(b), "Hello")
			ended := make(chan bool)
			go func() {
				defer close(ended)
				for drips {
					if _, err := io.WriteString(c, "a"); err != nil {
						return
					}
					time.Sleep(short / 10) // a slow client is what is tried
				}
			}()
			await(t, func() bool { return s.count(t) == 0 })
			<-ended
		}
	})
}

// flood writes to c until it can't, and returns how much that was: no more than twice
// what the server and the sockets can have taken.
func flood(c io.Writer) (n int) {
	b := make([]byte, 64<<10)
	for n < 2*floodSize {
		k, err := c.Write(b)
		n += k
		if err != nil {
			break
		}
	}
	return n
}

// floodSize is what the server drops, and far more than two sockets hold.
const floodSize = maxDrop + 64<<20

func TestWhatIsDroppedHasALimit(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, nil)
		c := connect(t, s.addr)
		say(t, c, lastRequest("/plaintext"))
		_, err := io.ReadAll(c)
		require.NoError(t, err)
		n := flood(c)
		require.GreaterOrEqual(t, n, maxDrop)
		require.Less(t, n, floodSize)
		await(t, func() bool { return s.count(t) == 0 })

		// While the answer is under way the client is held back: it may still be read.
		c = connect(t, s.addr)
		say(t, c, lastRequest("/big.png"))
		flooded := make(chan int, 1)
		go func() { flooded <- flood(c) }()
		await(t, func() bool {
			return s.look(t, func(w *worker) int {
				if len(w.sessions) == 1 && w.sessions[0].paused && w.sessions[0].in == nil {
					return 1
				}
				return 0
			}) == 1
		})
		_, _ = io.Copy(io.Discard, c) // it may end with a reset
		require.Less(t, <-flooded, floodSize)
		await(t, func() bool { return s.count(t) == 0 })
	})
}

// A shutdown waits for clients that may still be reading, too, but not for ever.
func TestTheEndLetsLastAnswersBeRead(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, drain := range []string{"4s", patience.String()} {
			c := startChild(t, 256, "-engine", engine, "-linger", patience.String(), "-drain", drain, t.TempDir())
			idle := connect(t, c.addr)
			say(t, idle, plaintextRequest)
			idleReader := bufio.NewReader(idle)
			answer(t, idleReader, "GET")
			last := connect(t, c.addr)
			say(t, last, lastRequest("/plaintext"))
			b, err := io.ReadAll(last)
			require.NoError(t, err)
			require.Contains(t, string(b), "Hello")
			if drain == "4s" { // it never closes, but it has its answer
				c.end(t, syscall.SIGTERM)
				require.Empty(t, c.errs.String(), "nobody was cut off")
				continue
			}
			require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
			_, err = idleReader.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the end has begun")
			require.NoError(t, last.Close())
			_, err = io.ReadAll(c.out)
			require.NoError(t, err)
			require.NoError(t, c.cmd.Wait(), c.errs)
			require.Empty(t, c.errs.String(), "nobody was cut off")
		}
	})
}

// A head waits in the kernel for the file behind it, 200 ms at most (MSG_MORE). If nothing
// of that can be sent, the end of the connection takes it along at once.
func TestAHeadWhoseFileHasBecomeEmptyDoesNotWait(t *testing.T) {
	site := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, site.dir, func(c *config) { c.revalidate = time.Hour })
		site.add(t, "/cut.bin", noise(64<<10))
		_, body := get(t, "GET", "http://"+s.addr+"/cut.bin") // from now on it is open
		require.True(t, bytes.Equal(site.files["/cut.bin"], body))
		require.NoError(t, os.Truncate(filepath.Join(site.dir, "cut.bin"), 0))
		await(t, func() bool { // once within that time will do
			c := connect(t, s.addr)
			begin := time.Now()
			say(t, c, "GET /cut.bin HTTP/1.1\r\nHost: x\r\n\r\n")
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, int64(64<<10), resp.ContentLength)
			n, err := io.Copy(io.Discard, resp.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Zero(t, n)
			return time.Since(begin) < 150*time.Millisecond
		})
		await(t, func() bool { return s.count(t) == 0 })
	})
}

// The places of -conns are for those who are served: not for one who has his last answer,
// nor for one who was told that there is no place.
func TestWhoIsNotServedHoldsNoPlace(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, t.TempDir(), func(c *config) { c.conns, c.linger = 1, patience })
		served := func() {
			c := connect(t, s.addr)
			say(t, c, lastRequest("/plaintext"))
			r := bufio.NewReader(c)
			resp, _ := answer(t, r, "GET")
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF)
		}
		served()
		served() // the first has not closed
		guest := connect(t, s.addr)
		await(t, func() bool { return s.count(t) == 3 })
		connect(t, s.addr) // one too many, says nothing
		await(t, func() bool { return s.count(t) == 4 })
		require.NoError(t, guest.Close())
		await(t, func() bool { return s.count(t) < 4 })
		served()
	})
}

// When descriptors run out, those who have their last answer go first.
func TestDescriptorsAreTakenFromThoseWhoHaveTheirAnswer(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := startChild(t, 64, "-engine", engine, "-linger", patience.String(), t.TempDir())
		for range 150 { // none of them closes
			c := connect(t, s.addr)
			say(t, c, lastRequest("/plaintext"))
			resp, _ := answer(t, bufio.NewReader(c), "GET")
			require.Equal(t, http.StatusOK, resp.StatusCode)
		}
		require.Empty(t, s.errs.String())
		require.NoError(t, s.cmd.Process.Kill())
		_ = s.cmd.Wait()
	})
}
