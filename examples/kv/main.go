// Command kv is a key-value server that speaks the protocol of Redis (RESP2, pipelines,
// inline requests), with an append-only file. Values are strings; the commands are those
// that COMMAND lists.
//
// It shows what completions are good for beside sockets: the write that makes data
// durable is one more operation of the loop, which goes on with requests while the disk
// works. What they write gathers and leaves with the next write (group commit), and a
// reply leaves when all that it depends on is durable: not a byte of it before, so a
// kill at any moment takes back nothing that anybody has been told.
//
//	go run ./examples/kv -addr 127.0.0.1:6380 -file /tmp/kv.log
//	listening on 127.0.0.1:6380, engine io_uring
//
// and with the tools of Redis:
//
//	$ redis-cli -p 6380 SET greeting hello EX 100
//	OK
//	$ redis-cli -p 6380 TTL greeting
//	100
//	$ redis-benchmark -p 6380 -t set,get -n 100000 -q
//	$ kill -9 $(redis-cli -p 6380 INFO server | tr -d '\r' | sed -n s/process_id://p)
//	$ go run ./examples/kv -addr 127.0.0.1:6380 -file /tmp/kv.log &
//	$ redis-cli -p 6380 GET greeting
//	hello
//	$ redis-cli -p 6380 BGREWRITEAOF
//	Background append only file rewriting started
//
// upon which the server says "compacted from 2249830 to 76 bytes in 25ms".
//
// Files: resp.go takes requests apart, session.go is a connection, commands.go,
// expiry.go and admin.go execute, data.go holds the keys, record.go is the format of the
// file, open.go begins and ends with it, log.go writes it and compact.go makes it small
// again.
//
// Where it differs from Redis: MULTI, lists, SCAN and replication are not
// there; -fsync everysec and no wait for the kernel to have a write, too, before they
// acknowledge it; a read of what isn't durable yet waits for it; a write that fails for
// want of room is tried again, and until it works writes get MISCONF, reads go on; after
// any other error of the disk the program ends, for nobody knows what is on it. APPEND
// logs the whole value.
//
// SIGTERM and SIGINT let what is under way be answered; a second one kills.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const version = "1.0"

// config is what the command line says.
type config struct {
	addr    string
	engine  string // "" leaves the choice to PROACTOR_ENGINE, or to what works
	loops   int
	file    string // "": nothing is kept
	fsync   policy
	repair  bool
	compact int64 // the least size of the file for a compaction
	clients int   // connections at most
	output  int   // bytes of replies that wait for a peer, before its requests do
	limits
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
		fmt.Fprintln(os.Stderr, "kv:", err)
		os.Exit(1)
	}
}

var errLoops = errors.New("-loops: the data belong to one loop, as in Redis. With more, each request would be " +
	"handed from loop to loop and back, which costs more than to execute it. For more cores start more " +
	"processes, each with an address and a file of its own, and let the clients share the keys out")

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := &config{fsync: always}
	f := flag.NewFlagSet("kv", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&c.addr, "addr", "127.0.0.1:6379", "`address` to listen on")
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.IntVar(&c.loops, "loops", 1, "event loops: 1, the data belong to one")
	f.StringVar(&c.file, "file", "", "the append-only `file`; without one nothing is kept")
	f.Func("fsync", "when writes are durable: always (before the reply, the default), everysec or no", func(s string) error {
		c.fsync = policy(s)
		if c.fsync != always && c.fsync != everysec && c.fsync != never {
			return errors.New("it is always, everysec or no")
		}
		return nil
	})
	f.BoolVar(&c.repair, "repair", false, "cut a damaged file off at the damage, although there is more behind it")
	f.Int64Var(&c.compact, "compact", 64<<20, "compact the file from so many `bytes` on, when it has doubled")
	f.IntVar(&c.clients, "maxclients", 10000, "connections at most")
	f.IntVar(&c.bulk, "max-bulk", 64<<20, "`bytes` of a key or value at most")
	f.IntVar(&c.request, "max-request", 128<<20, "`bytes` of a request, or of an MGET's reply, at most")
	f.IntVar(&c.output, "output", 1<<20, "`bytes` of replies that wait for a client before its requests wait, too")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || c.clients < 1 || c.bulk < 1 || c.request < c.bulk || c.request > batchLimit/2 || c.output < 1 || c.compact < 1 {
		f.Usage()
		return nil, errors.New("wrong arguments")
	}
	if c.loops != 1 {
		fmt.Fprintln(errs, "kv:", errLoops)
		return nil, errLoops
	}
	return c, nil
}

// run serves until ctx ends.
func run(ctx context.Context, c *config, out, errs io.Writer) error {
	s, err := listen(c, errs)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, s)
	s.leaveRoom()
	return s.run(ctx)
}

// leaveRoom lets a third goroutine run where Go would let one or two, if a worker
// writes the log, which is so on the engine epoll only. The loop and the worker keep
// their places while they are in system calls, as long as one is free; if none is, Go
// takes them away after 20 us, and who comes back from his call has to look for one.
// On one processor, 50 clients, requests a second: with two places 1.02 times those with
// one, with three 1.14 (bench/results/2026-11-28/places.txt).
func (s *server) leaveRoom() {
	name, _ := s.loop.Engine()
	if s.log != nil && name == "epoll" && os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 3 {
		runtime.GOMAXPROCS(3)
	}
}
