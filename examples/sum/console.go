package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// console is where messages go, and on a terminal the progress: one line that
// gives way to whatever else is printed.
type console struct {
	terminal bool

	mu    sync.Mutex // below: any goroutine prints
	to    io.Writer
	shown bool // the progress line is there
}

func newConsole(f *os.File) *console {
	return &console{to: f, terminal: isTerminal(f)}
}

// say prints a line.
func (c *console) say(line string) { c.aside(func() { fmt.Fprintln(c.to, line) }) }

// fail names a file or directory that can't be read, and says why.
func (c *console) fail(path string, err error) { c.say("sum: " + path + ": " + reason(err)) }

// aside runs f while there is no progress line in the way.
func (c *console) aside(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown {
		c.shown = false
		fmt.Fprint(c.to, "\r\033[K")
	}
	f()
}

// show replaces the progress line.
func (c *console) show(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = true
	fmt.Fprint(c.to, "\r\033[K"+line)
}

// reason is the error without the path and the system call around it.
func reason(err error) string {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
