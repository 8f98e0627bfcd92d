package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// digest is what a file came to.
type digest struct {
	index    int // of its path
	sum      [sha256.Size]byte
	err      error
	buffered error // why it was not read past the page cache, if it should have been
}

// printer prints the lines in the order of the paths, whatever the order in
// which the files are done. It has a goroutine of its own: a callback must not
// wait for the output.
type printer struct {
	files  []string
	in     chan digest // with room for all, so that giving never waits
	early  map[int]digest
	next   int
	out    *bufio.Writer
	con    *console
	broken context.CancelCauseFunc // called when the output fails
	failed bool
	noted  bool
	stop   chan struct{}
	ended  chan struct{}
}

func newPrinter(files []string, out io.Writer, con *console, broken context.CancelCauseFunc) *printer {
	p := &printer{
		files: files, in: make(chan digest, len(files)), early: map[int]digest{},
		out: bufio.NewWriterSize(out, 64<<10), con: con, broken: broken,
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	go p.run()
	return p
}

// finish prints what was given so far, and reports whether a file failed.
func (p *printer) finish() (failed bool) {
	close(p.stop)
	<-p.ended
	return p.failed
}

func (p *printer) run() {
	defer close(p.ended)
	for {
		select {
		case d := <-p.in:
			p.take(d)
		case <-p.stop:
			for len(p.in) > 0 {
				p.take(<-p.in)
			}
			p.flush()
			return
		}
	}
}

func (p *printer) take(d digest) {
	p.early[d.index] = d
	for d, ok := p.early[p.next]; ok; d, ok = p.early[p.next] {
		delete(p.early, p.next)
		p.print(p.files[p.next], &d)
		p.next++
	}
	if len(p.in) == 0 {
		p.flush()
	}
}

func (p *printer) print(path string, d *digest) {
	if d.buffered != nil && !p.noted {
		p.noted = true
		p.con.say(fmt.Sprintf("sum: %s: no direct reads here (%s), so through the page cache", path, reason(d.buffered)))
	}
	if d.err != nil {
		p.failed = true
		p.con.fail(path, d.err)
		return
	}
	text := line(path, d.sum[:])
	if p.out.Available() < len(text) {
		p.flush()
	}
	_, _ = p.out.WriteString(text) // an error stays for the next flush
}

func (p *printer) flush() {
	if p.out.Buffered() == 0 {
		return
	}
	p.con.aside(func() {
		if err := p.out.Flush(); err != nil {
			p.broken(fmt.Errorf("write: %w", err))
		}
	})
}

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)

// line is as sha256sum prints it: a backslash in front tells that the name has
// escapes.
func line(path string, sum []byte) string {
	name := escapes.Replace(path)
	mark := ""
	if name != path {
		mark = `\`
	}
	return mark + hex.EncodeToString(sum) + "  " + name + "\n"
}
