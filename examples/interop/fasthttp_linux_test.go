package interop

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

func TestFastHTTP(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		ln := listen(t, n)
		server := &fasthttp.Server{
			Handler:            func(c *fasthttp.RequestCtx) { c.SetBody(c.Request.Body()) },
			MaxRequestBodySize: 16 << 20,
			ReadTimeout:        patience,
			WriteTimeout:       patience,
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln) }()
		c := &fasthttp.Client{
			Dial: func(address string) (net.Conn, error) { return n.Dial(soon(t), "tcp", address) },
		}
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for size := 1; size < 2<<20; size *= 7 {
					var q fasthttp.Request
					var a fasthttp.Response
					b := bytes.Repeat([]byte{byte(i)}, size)
					q.SetRequestURI("http://" + ln.Addr().String() + "/")
					q.Header.SetMethod(fasthttp.MethodPost)
					q.SetBody(b)
					if err := c.DoTimeout(&q, &a, patience); err != nil || !bytes.Equal(b, a.Body()) {
						t.Error("request: ", err)
						return
					}
				}
			})
		}
		all.Wait()
		c.CloseIdleConnections()
		require.NoError(t, server.ShutdownWithContext(soon(t)))
		require.NoError(t, <-served)
	})
}
