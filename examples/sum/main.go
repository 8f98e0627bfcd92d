// Command sum prints the SHA-256 of every regular file under its arguments, in
// the format of sha256sum, sorted by path.
//
// It shows reading files by completion: many small files at the same time, and
// many blocks of a huge one ahead, while other goroutines hash what has come.
// Files are handles of a loop; the reads are raw Ops, each in the struct of the
// block that it fills, so that they allocate nothing. The data in memory is
// bounded: depth times block size, 16 MiB unless told otherwise, however many
// and large the files.
//
//	go run ./examples/sum $(go env GOROOT)/src
//	go run ./examples/sum -engine epoll -depth 32 -block 1M -direct /var/log /etc/passwd
//
// A symbolic link is followed if it is an argument, not if it is found in a
// directory. A file that can't be read is named on stderr, the others are still
// summed, and the program exits with 1; interrupted, it exits with 130.
//
// Kernel: io_uring wants Linux 5.11 (or 5.10.162), and is at its best from 6.6.
// On an older one, or where a container forbids io_uring, the same program runs
// on epoll and a pool of threads that read; with -direct by io_submit(2).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
)

// config is what the command line says.
type config struct {
	engine string // "" leaves the choice to PROACTOR_ENGINE, or to what works
	depth  int    // blocks in memory
	block  size
	direct bool
	paths  []string
}

const interrupted = 130 // as a shell has it: 128 + SIGINT

func main() {
	c, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, c, os.Stdout, newConsole(os.Stderr)))
}

const usage = `usage: sum [flags] PATH...
Prints the SHA-256 of every regular file under each PATH. It holds at most
depth x block bytes of them in memory.
`

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := &config{block: 128 << 10}
	f := flag.NewFlagSet("sum", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		fmt.Fprint(errs, usage)
		f.PrintDefaults()
	}
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.IntVar(&c.depth, "depth", 128, "how many blocks are read or wait to be hashed at most")
	f.Var(&c.block, "block", "`size` of a block, in bytes or with K, M or G")
	f.BoolVar(&c.direct, "direct", false, "read past the page cache (O_DIRECT) where the file system can")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	c.paths = f.Args()
	if err := c.check(); err != nil {
		fmt.Fprintln(errs, "sum:", err)
		f.Usage()
		return nil, err
	}
	return c, nil
}

func (c *config) check() error {
	switch {
	case len(c.paths) == 0:
		return errors.New("no path given")
	case c.depth < 1 || c.depth > 1<<20:
		return errors.New("the depth must be 1 to 1048576")
	case c.block < 1 || c.block > 1<<30:
		return errors.New("the block must be 1 byte to 1 GiB")
	case c.depth > math.MaxInt/int(c.block):
		return errors.New("depth x block is more than can be addressed")
	case c.direct && c.block%pageSize != 0:
		return fmt.Errorf("with -direct the block must be a multiple of %d bytes", pageSize)
	}
	return nil
}

// run sums what the command line asks for and returns the exit code.
func run(ctx context.Context, c *config, out io.Writer, con *console) int {
	files, failed := walk(ctx, c.paths, con)
	working, broken := context.WithCancelCause(ctx)
	defer broken(nil)
	p := newPrinter(files, out, con, broken)
	st := new(status)
	stop := con.progress(st, len(files))
	err := sum(working, c, files, p.in, st)
	failed = p.finish() || failed
	stop()
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err == nil:
		err = context.Cause(working) // the output failed at the very end
	}
	if err != nil {
		con.say("sum: " + err.Error())
	}
	if failed || err != nil {
		return 1
	}
	return 0
}
