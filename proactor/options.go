package proactor

import (
	"runtime"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Option sets one property of a loop, for New.
type Option func(*options)

type options struct {
	engine    op.Engine
	choice    string
	choiceWhy string
	entries   int
	workers   int
	maxPosts  int
	maxCalls  int
	batch     int
	linger    time.Duration
	buffers   int
	bufSize   int
	quota     int
	busyPoll  time.Duration
	maxWork   int
	zeroCopy  int
	slow      time.Duration
	slowFunc  func(SlowCallback)
	netpoller bool
}

// EngineVar is the environment variable that chooses the engine where no option
// does: auto, io_uring or epoll. With epoll, io_uring isn't even probed, which
// sandboxes that kill a process for trying make necessary.
const EngineVar = "PROACTOR_ENGINE"

// AIOVar is the environment variable that with off keeps the engine epoll from trying
// Linux AIO, io_submit(2), for files opened with O_DIRECT: they are the workers' then. It
// is for sandboxes that kill a process for trying.
const AIOVar = "PROACTOR_AIO"

func defaults() options {
	return options{
		entries:  1024,
		workers:  max(4, 2*runtime.GOMAXPROCS(0)),
		maxPosts: 1 << 16,
		maxCalls: 1 << 16,
		batch:    1024,
		linger:   5 * time.Second,
		buffers:  128,
		bufSize:  16<<10 + 64,
		quota:    32,
		maxWork:  1 << 10,
		zeroCopy: 32 << 10,
	}
}

// WithEngineName chooses the engine: "auto" (the default), "io_uring" or
// "epoll". It overrides the environment variable PROACTOR_ENGINE.
func WithEngineName(name string) Option {
	return func(o *options) { o.choice, o.choiceWhy = name, "chosen by option" }
}

// WithEngine makes the loop use e, which it owns from then on.
// Experimental, as op.Engine is.
func WithEngine(e op.Engine) Option { return func(o *options) { o.engine = e } }

// WithNetpoller has the loop wait in Go's own netpoller instead of blocking a thread.
// Goroutines that its callbacks wake then run sooner, and for less: package blocking
// sets it. A loop whose callbacks do the work is better off without: an operation on a
// ring that belongs to no thread costs more.
func WithNetpoller(on bool) Option { return func(o *options) { o.netpoller = on } }

// WithEntries sets the size of the ring's submission queue, a power of two; the
// default is 1024. The completion queue is four times as large. It bounds the
// batch, not the operations in flight; less is taken if RLIMIT_MEMLOCK demands
// it. On epoll it is the number of events for each wait, 32 at most.
func WithEntries(n int) Option { return func(o *options) { o.entries = max(n, 1) } }

// WithWorkers sets how many goroutines execute blocking system calls at most;
// the default is twice GOMAXPROCS, at least 4.
//
// On the engine epoll files are read and written by workers, but for reads of what the
// page cache has, and for O_DIRECT, which the disk does on its own. They need a place
// (GOMAXPROCS) beside the loop's; one more that is free spares both that Go takes theirs
// away during a system call. On one processor GOMAXPROCS=3 brought a server with an
// append-only log 1.14 times the requests of GOMAXPROCS=1 (examples/kv sets it so).
func WithWorkers(n int) Option { return func(o *options) { o.workers = max(n, 1) } }

// WithMaxPosts sets how many posted functions may wait; the default is 65536.
func WithMaxPosts(n int) Option { return func(o *options) { o.maxPosts = max(n, 1) } }

// WithMaxCalls sets how many operations behind the closure verbs of Conn, File,
// Listener and Timer may be under way; the default is 65536. Operations that
// the caller owns have no limit.
func WithMaxCalls(n int) Option { return func(o *options) { o.maxCalls = max(n, 1) } }

// WithMaxWork sets how many functions of Loop.Go may wait or run; the default is 1024.
func WithMaxWork(n int) Option { return func(o *options) { o.maxWork = max(n, 1) } }

// WithBatch sets how many callbacks one turn runs at most; the default is 1024.
func WithBatch(n int) Option { return func(o *options) { o.batch = max(n, 1) } }

// WithLinger sets how long Close of a handle flushes queued sends, if its peer
// doesn't read; the default is 5 s, negative is without limit, and with 0 Close drops
// them, as Abort does.
func WithLinger(d time.Duration) Option { return func(o *options) { o.linger = d } }

// WithBuffers sets the loop's pool for RecvEach: how many Buffers, a power of two,
// and their size in bytes. The default is 128 of 16 KiB and a little: what is
// received next should still be in the processor's cache, and a larger pool isn't;
// and a message of 16 KiB shouldn't fill a Buffer, or the epoll engine must ask
// whether there is more (6 % of such an echo). It is made at the first RecvEach.
func WithBuffers(n, size int) Option {
	return func(o *options) { o.buffers, o.bufSize = max(n, 1), max(size, 64) }
}

// WithQuota sets how many Buffers one connection may have out before its
// receiving pauses, so that a few slow readers don't take them all; the default
// is 32. It goes on when half of them are back. A datagram socket without a fixed
// peer stands for many connections: it may have three quarters of all.
func WithQuota(n int) Option { return func(o *options) { o.quota = max(n, 1) } }

// WithBusyPoll lets the loop look for completions for d before it sleeps: a
// shorter latency for the price of a busy core. Other goroutines still have
// their turn every millisecond. The default is 0.
func WithBusyPoll(d time.Duration) Option { return func(o *options) { o.busyPoll = d } }

// WithZeroCopyFrom sets from how many bytes on a SendZeroCopy is one; the default is
// 32 KiB. To pin the memory and to hear that it is free again costs more than a copy of
// less.
func WithZeroCopyFrom(n int) Option { return func(o *options) { o.zeroCopy = n } }
