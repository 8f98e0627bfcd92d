package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
)

// large is the size of a body that fits into no buffer.
const large = 8 << 20

// handler answers with the hash of what it gets, or with a large body.
func handler(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, body())
		return
	}
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%s %x", r.Proto, h.Sum(nil))
}

// body is a large body, of which no two blocks are alike.
func body() io.Reader {
	return io.LimitReader(&counting{}, large)
}

type counting struct{ n uint32 }

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c.n >> (8 * (c.n & 1)))
		c.n += 3
	}
	return len(b), nil
}

func sum(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	require.NoError(t, err)
	require.EqualValues(t, large, n)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// serve runs a server of net/http on a listener of ours until the test ends.
func serve(t *testing.T, n *blocking.Net, h http.Handler, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := &httptest.Server{Listener: listen(t, n), Config: &http.Server{Handler: h}}
	start(s)
	t.Cleanup(s.Close)
	return s
}

// client is a client whose connections are ours, and how many it has made.
func client(t *testing.T, n *blocking.Net, s *httptest.Server) (*http.Client, *counter) {
	t.Helper()
	made := &counter{n: n}
	c := s.Client()
	transport := c.Transport.(*http.Transport)
	transport.DialContext = made.dial
	t.Cleanup(transport.CloseIdleConnections)
	return c, made
}

type counter struct {
	n    *blocking.Net
	mu   sync.Mutex
	made int
}

func (c *counter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	c.made++
	c.mu.Unlock()
	return c.n.Dial(ctx, network, address)
}

func TestHTTP(t *testing.T) {
	for name, x := range map[string]struct {
		proto string
		start func(*httptest.Server)
	}{
		"plain": {"HTTP/1.1", (*httptest.Server).Start},
		"TLS":   {"HTTP/1.1", (*httptest.Server).StartTLS},
		"HTTP2": {"HTTP/2.0", func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }},
	} {
		t.Run(name, func(t *testing.T) {
			bothEngines(t, func(t *testing.T, n *blocking.Net) {
				t.Run("", func(t *testing.T) { // all is closed before the Net
					s := serve(t, n, http.HandlerFunc(handler), x.start)
					c, made := client(t, n, s)
					want := sum(t, body())
					for range 3 { // one connection does for all
						r, err := c.Post(s.URL, "", body())
						require.NoError(t, err)
						answer, err := io.ReadAll(r.Body)
						require.NoError(t, err)
						require.NoError(t, r.Body.Close())
						require.Equal(t, x.proto+" "+want, string(answer))
						r, err = c.Get(s.URL)
						require.NoError(t, err)
						require.Equal(t, want, sum(t, r.Body))
						require.NoError(t, r.Body.Close())
					}
					require.Equal(t, 1, made.made, "keep-alive")
					var all sync.WaitGroup
					for range 16 {
						all.Go(func() {
							for range 10 {
								r, err := c.Post(s.URL, "", strings.NewReader("small"))
								if err != nil {
									t.Error(err)
									return
								}
								_, err = io.Copy(io.Discard, r.Body)
								if err = errors.Join(err, r.Body.Close()); err != nil {
									t.Error(err)
								}
							}
						})
					}
					all.Wait()
				})
			})
		})
	}
}

// The server's reading in the background, and the deadline in the past by which it ends
// it, when the client goes away or a handler takes the connection over.
func TestHTTPNoticesThatTheClientIsGone(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		t.Run("", func(t *testing.T) {
			came, gone := make(chan bool), make(chan bool)
			s := serve(t, n, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(came)
				<-r.Context().Done()
				close(gone)
			}), (*httptest.Server).Start)
			c, _ := client(t, n, s)
			ctx, cancel := context.WithCancel(soon(t))
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
			require.NoError(t, err)
			go func() {
				<-came
				cancel()
			}()
			_, err = c.Do(r)
			require.ErrorIs(t, err, context.Canceled)
			<-gone
		})
	})
}

func TestHTTPShutdownWaitsForRequests(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		came, goOn := make(chan bool), make(chan bool)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(came)
			<-goOn
			fmt.Fprint(w, "done")
		})}
		ln := listen(t, n)
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln) }()
		transport := &http.Transport{DialContext: n.Dial}
		answer := make(chan string, 1)
		go func() {
			r, err := (&http.Client{Transport: transport}).Get("http://" + ln.Addr().String())
			if err != nil {
				answer <- err.Error()
				return
			}
			b, _ := io.ReadAll(r.Body)
			_ = r.Body.Close()
			answer <- string(b)
		}()
		<-came
		down := make(chan error, 1)
		go func() { down <- server.Shutdown(soon(t)) }()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		require.Empty(t, down)
		close(goOn)
		require.Equal(t, "done", <-answer)
		transport.CloseIdleConnections()
		require.NoError(t, <-down)
	})
}

func TestWebSockets(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		t.Run("", func(t *testing.T) {
			ended := make(chan error, 1)
			s := serve(t, n, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, _, err := ws.UpgradeHTTP(r, w) // takes the connection over
				if err != nil {
					ended <- err
					return
				}
				defer c.Close()
				for {
					b, code, err := wsutil.ReadClientData(c)
					if err != nil {
						ended <- err
						return
					}
					if err := wsutil.WriteServerMessage(c, code, b); err != nil {
						ended <- err
						return
					}
				}
			}), (*httptest.Server).Start)
			d := ws.Dialer{NetDial: n.Dial}
			c, _, _, err := d.Dial(soon(t), "ws"+strings.TrimPrefix(s.URL, "http"))
			require.NoError(t, err)
			for _, size := range []int{0, 1, 125, 126, 1 << 16, 1 << 20} {
				b := bytes.Repeat([]byte{byte(size), 7}, size/2)
				wrote := make(chan error, 1)
				go func() { wrote <- wsutil.WriteClientBinary(c, b) }()
				got, err := wsutil.ReadServerBinary(c)
				require.NoError(t, err)
				require.NoError(t, <-wrote)
				require.True(t, bytes.Equal(b, got))
			}
			require.NoError(t, wsutil.WriteClientMessage(c, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
			var closed wsutil.ClosedError
			require.ErrorAs(t, <-ended, &closed)
			closing(t, c)
		})
	})
}

func TestTLSClosesInOrder(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		t.Run("", func(t *testing.T) {
			s := serve(t, n, http.NotFoundHandler(), (*httptest.Server).StartTLS)
			ln := tls.NewListener(listen(t, n), s.TLS)
			accepted := make(chan error, 1)
			go func() {
				accepted <- func() error {
					c, err := ln.Accept()
					if err != nil {
						return err
					}
					b, err := io.ReadAll(c)
					if err == nil && string(b) != "hello" {
						err = errors.New(string(b))
					}
					return errors.Join(err, c.Close())
				}()
			}()
			raw, err := n.Dial(soon(t), "tcp", ln.Addr().String())
			require.NoError(t, err)
			config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			config.ServerName = "example.com"
			c := tls.Client(raw, config)
			_, err = io.WriteString(c, "hello")
			require.NoError(t, err)
			require.NoError(t, c.CloseWrite())
			require.NoError(t, <-accepted)
			_, err = c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			closing(t, c)
			closing(t, ln)
		})
	})
}
