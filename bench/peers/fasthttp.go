package main

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// serveFiles serves the files below a directory by fasthttp, and "Hello, World!" at
// /plaintext. Files stay open for a second, as nginx and ours have it there.
func serveFiles(ln net.Listener, dir string) error {
	fs := &fasthttp.FS{Root: dir, AcceptByteRange: true, CacheDuration: time.Second}
	files := fs.NewRequestHandler()
	return fasthttp.Serve(ln, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/plaintext" {
			ctx.SetContentType("text/plain")
			ctx.SetBodyString("Hello, World!")
			return
		}
		files(ctx)
	})
}
