// Command httpd serves the files below a directory, over HTTP/1.1 and 1.0.
//
// It shows package proactor at work in a server that stands beside the ones people
// know: multishot receives into the loop's Buffers, answers to pipelined requests in
// one send, files by openat2(2) and sendfile(2), several loops on one address, and an
// orderly end. Requests and answers cost no goroutine and, once a file is known, no
// allocation.
//
//	$ go run ./examples/httpd -addr 127.0.0.1:8080 .
//	listening on 127.0.0.1:8080, engine io_uring
//	$ curl -i http://127.0.0.1:8080/plaintext
//	HTTP/1.1 200 OK
//	Server: go-proactor
//	Date: Sat, 21 Nov 2026 21:01:39 GMT
//	Content-Type: text/plain
//	Content-Length: 13
//
//	Hello, World!
//	$ curl -s -r 0-10 http://127.0.0.1:8080/LICENSE
//	MIT License
//	$ curl -s http://127.0.0.1:8080/                # a directory: its index.html, or a list
//	$ wrk -t1 -c64 -d5s http://127.0.0.1:8080/README.md
//
// What it does: GET and HEAD; keep-alive and pipelining; ranges, one or several
// (multipart/byteranges), If-Range; If-Match, If-None-Match, If-Modified-Since and
// If-Unmodified-Since with ETag and Last-Modified; a directory without the slash is
// redirected, with it is its index.html or a list of its names; types by extension, and
// by the contents where that says nothing.
//
// What it refuses: paths that lead out of the directory, by dots, by encoded dots or by
// symbolic links (openat2's RESOLVE_BENEATH; absolute links lead out, too); names with a
// NUL or an encoded slash; heads of more than 16 KiB or 100 fields (431), request lines
// of more than 8 KiB (414); methods other than GET and HEAD (405, 501); HTTP versions
// other than 1.x (505); bodies with a transfer coding (411, 501) or of more than 1 MiB
// (413): smaller ones are read and dropped. A request that two parsers could read
// differently, by Content-Length and Transfer-Encoding both, a repeated length, or
// white space before a colon, is refused and the connection closed (400).
//
// Clients that are slow have limits: -header for a request's head, -idle between
// requests, -send for a client that doesn't read its answer, -linger for one that doesn't close
// after the last. Connections beyond -conns, and those for which there are no descriptors, are
// answered 503.
//
// Files of up to 16 KiB are kept in memory, larger ones are kept open; after
// -revalidate a file is opened anew and compared, so a change is seen within that time.
// With -revalidate 0 each request opens its file.
//
// Kernel: Linux 5.6 for openat2(2). io_uring wants Linux 5.11 (or 5.10.162), and is at its
// best from 6.6. Where it is missing or forbidden the same program runs on epoll; its first
// line of output says which it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// config is what the command line says.
type config struct {
	addr       string
	engine     string // "" leaves the choice to PROACTOR_ENGINE, or to what works
	loops      int
	root       string
	list       bool
	log        string
	revalidate time.Duration
	header     time.Duration
	idle       time.Duration
	send       time.Duration
	linger     time.Duration
	drain      time.Duration
	conns      int // for each loop
}

func defaults() *config {
	return &config{
		addr: "127.0.0.1:8080", loops: 1, root: ".", list: true, revalidate: time.Second,
		header: 10 * time.Second, idle: time.Minute, send: 30 * time.Second, linger: 2 * time.Second, drain: 10 * time.Second, conns: 65536,
	}
}

func main() {
	c, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := run(ctx, c, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "httpd:", err)
		os.Exit(1)
	}
}

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := defaults()
	f := flag.NewFlagSet("httpd", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		fmt.Fprintln(errs, "usage: httpd [flags] [DIRECTORY]")
		f.PrintDefaults()
	}
	f.StringVar(&c.addr, "addr", c.addr, "`address` to listen on")
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.IntVar(&c.loops, "loops", c.loops, "how many loops serve; 0 is one for each CPU")
	f.BoolVar(&c.list, "list", c.list, "list directories that have no index.html")
	f.StringVar(&c.log, "log", "", "`file` that the access log is appended to, in the common format")
	f.DurationVar(&c.revalidate, "revalidate", c.revalidate, "how long a file is taken to be unchanged; 0 opens it for each request")
	f.DurationVar(&c.header, "header", c.header, "`time` for the head of a request")
	f.DurationVar(&c.idle, "idle", c.idle, "`time` between two requests, and for the body of one")
	f.DurationVar(&c.send, "send", c.send, "`time` for a client to take an answer, or 512 KiB of one")
	f.DurationVar(&c.linger, "linger", c.linger, "`time` for a client to read its last answer and close, while what it sends is dropped")
	f.DurationVar(&c.drain, "drain", c.drain, "`time` for requests under way, after SIGTERM")
	f.IntVar(&c.conns, "conns", c.conns, "most connections of a loop; those beyond are answered 503")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() == 1 {
		c.root = f.Arg(0)
	}
	if f.NArg() > 1 || c.loops < 0 || c.conns < 1 || c.revalidate < 0 || min(c.header, c.idle, c.send, c.linger) <= 0 || c.drain < 0 {
		f.Usage()
		return nil, errors.New("wrong arguments")
	}
	return c, nil
}

// run serves until ctx ends and the requests under way are answered.
func run(ctx context.Context, c *config, out, errs io.Writer) error {
	s, err := listen(c, errs)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, s)
	return s.run(ctx)
}
