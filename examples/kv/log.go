package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// policy is when what was written is made durable.
type policy string

const (
	always   policy = "always"   // before it is acknowledged
	everysec policy = "everysec" // once a second
	never    policy = "no"       // when the kernel likes
)

// appendLog is the append-only file. Commands put their records into the batch
// that is gathered; one batch at a time is being written, and when it is the next
// one leaves. So while the disk works more gathers: however slow it is, each of
// its writes takes all that has come meanwhile. (Two batches at a time gained nothing in
// trials: bench/results/2026-11-29/versus/kv-two-writes.txt and ../kv-patience.)
//
// Every batch has a number. A reply that depends on a batch waits until durable
// has come to it: with the policy always until the batch is on the disk, with the
// others until the kernel has it, which a kill -9 can't take back.
//
// With always a batch is one write with RWF_DSYNC over zeros that were written
// there before. The size and the blocks of the file stay what they are then, and
// the file system's journal has nothing to commit. Measured here (ext4 on a
// virtual disk without FUA, batches of 2000 bytes, three rounds of 200, medians in us):
//
//	write+fdatasync at the end of the file          211 to 267
//	the same, room made by fallocate                203 to 243
//	the same over zeros                             136 to 179
//	RWF_DSYNC over zeros                            143 to 180
//	O_DIRECT and RWF_DSYNC over zeros               137 to 149
//
// RWF_DSYNC is one operation instead of two, one behind the other. With O_DIRECT the
// server, with 50 clients, takes a tenth less CPU than without (direct).
type appendLog struct {
	loop   *proactor.Loop
	server *server
	data   *data
	path   string
	policy policy
	plain  *os.File // the same file, with the lock; for the beginning and the end
	file   *proactor.File

	batch    uint64 // number of the one that is gathered
	durable  uint64 // all up to this one are
	gather   []byte // begins with room for its head
	flight   []byte // is being written, or waits to be tried again
	off      int64  // where it goes
	writing  bool   // an operation, or the timer of the next try, is under way
	held     bool   // the compaction changes the file
	posted   bool   // a start is
	failed   error
	write    proactor.Op
	vec      [1][]byte
	refused  bool          // O_DIRECT: the file system wants other blocks, or has changed its mind
	direct   direct        // with the policy always
	begun    time.Time     // of the write
	took     time.Duration // what one takes, about
	expect   int           // so many clients should wait for the next; 0: it waits for none
	patient  bool          // it is being waited for them
	pauseMax time.Duration
	pause    proactor.Op
	pauseEnd proactor.Ticket
	retry    proactor.Op
	startNow func()

	sync    proactor.Op
	syncing bool
	dirty   bool  // something was written since the last sync began
	synced  int64 // ms: when the last one began, for everysec

	zeroed     int64 // zeros reach up to here
	filling    int64 // from here on they are being written; 0: they aren't
	zerosAt    int64 // and up to here they have been
	zeroFile   *proactor.File
	zeroDirect bool // which goes past the page cache
	fill       proactor.Op
	zeros      []byte

	rewrite   *rewrite // the compaction under way
	base      int64    // the size after the last one, or what it would have been
	compactAt int64    // the least size for the next

	notBefore   int64 // ms: when the next may begin
	compactions int
	noFill      bool // there was no room for zeros, or no way to them
	gatherMax   int
}

const (
	retryAfter  = 100 * time.Millisecond
	pauseMin    = 50 * time.Microsecond // shorter ones gain nothing
	pauseMax    = 5 * time.Millisecond  // a disk that stalled once is no reason to wait long
	gatherLimit = 64 << 20              // then requests wait
	keepMax     = 4 << 20               // larger buffers are not kept
)

// set, remove, expire and clear gather records; they return the batch that the
// caller's reply depends on. A nil log, which keeps nothing, takes all that a
// server asks of it.

func (l *appendLog) set(key, val []byte, expires int64) uint64 {
	if l == nil {
		return 0
	}
	l.gather = appendSet(l.gather, key, val, expires)
	return l.more()
}

func (l *appendLog) remove(key []byte) uint64 {
	if l == nil {
		return 0
	}
	l.gather = appendDelete(l.gather, key)
	return l.more()
}

func (l *appendLog) expire(key []byte, at int64) uint64 {
	if l == nil {
		return 0
	}
	l.gather = appendExpire(l.gather, key, at)
	return l.more()
}

func (l *appendLog) clear() uint64 {
	if l == nil {
		return 0
	}
	l.gather = appendClear(l.gather)
	return l.more()
}

// more has the batch leave when all that came with this request has been executed.
func (l *appendLog) more() uint64 {
	if !l.posted && !l.writing {
		l.post()
	}
	return l.batch
}

func (l *appendLog) post() { l.posted = l.loop.Post(l.startNow) == nil }

// last returns the batch that has the last of what was gathered.
func (l *appendLog) last() uint64 {
	switch {
	case l == nil:
		return 0
	case len(l.gather) == batchHead:
		return l.batch - 1
	default:
		return l.batch
	}
}

// isDurable returns up to which batch all is.
func (l *appendLog) isDurable() uint64 {
	if l == nil {
		return 0
	}
	return l.durable
}

// full reports whether requests have to wait for the disk.
func (l *appendLog) full() bool {
	if l == nil {
		return false
	}
	waits := len(l.gather)
	if l.rewrite != nil {
		waits += len(l.rewrite.buf)
	}
	return waits > l.gatherMax
}

// start writes what was gathered. Behind a write it comes when the replies have been
// sent that it let go, and those who are back already are taken along.
func (l *appendLog) start() {
	l.posted = false
	if !l.isPatient() {
		l.writeNext()
	}
}

// writeNext writes what was gathered, unless a write is under way: its end starts the
// next.
func (l *appendLog) writeNext() {
	if l.writing || l.held || len(l.gather) == batchHead {
		return
	}
	if l.filling > 0 && l.off+int64(len(l.gather)) > l.filling {
		return // not over zeros that come later: filled goes on
	}
	if l.policy == everysec && l.syncing && l.data.clock()-l.synced > 2000 {
		return // the disk doesn't keep up: isSynced goes on
	}
	seal(l.gather)
	l.gather, l.flight = l.flight[:batchHead], l.gather
	if cap(l.gather) > keepMax {
		l.gather = make([]byte, batchHead, 16<<10)
	}
	l.batch++
	if l.rewrite != nil {
		l.rewrite.add(l.flight)
	}
	l.submitWrite()
	l.fillMore()
}

func (l *appendLog) submitWrite() {
	flags := 0
	if l.policy == always {
		flags = rwfDsync
	}
	l.writing, l.begun = true, time.Now()
	if l.direct.has(l.flight) {
		blocks, begins := l.direct.blocks(l.flight)
		l.write.Pwritev2(l.direct.file, blocks, l.off-int64(begins), flags)
	} else {
		l.vec[0] = l.flight
		l.write.Pwritev2(l.file, l.vec[:], l.off, flags)
	}
	// Only a closing loop refuses: nobody is told then.
	_, _ = l.loop.Submit(&l.write)
}

func (l *appendLog) written(o *proactor.Op) {
	_, err := o.Result()
	switch {
	case err == nil:
	case errors.Is(err, proactor.ErrClosed), errors.Is(err, proactor.ErrCanceled):
		return
	case errors.Is(err, syscall.EINVAL) && l.direct.has(l.flight):
		l.refused = true
		closeFile(&l.direct.file)
		l.submitWrite()
		return
	case noRoom(err):
		l.fail(err)
		_, _ = l.loop.Submit(l.retry.Timeout(retryAfter))
		return
	default:
		l.server.fatal(fmt.Errorf("write %s: %w", l.path, err))
		return
	}
	if l.failed != nil {
		fmt.Fprintf(l.server.errs, "kv: %s: writes work again\n", l.path)
		l.failed = nil
	}
	l.off += int64(len(l.flight))
	l.direct.tail.add(l.flight)
	l.zeroed = max(l.zeroed, l.off)
	l.writing, l.dirty = false, true
	l.durable = l.batch - 1
	l.took += (time.Since(l.begun) - l.took) / 8
	if r := l.rewrite; r != nil {
		r.idle()
	}
	l.expectBack(len(l.server.waiting))
	l.server.release()
	if l.post(); !l.posted {
		l.start()
	}
	l.maybeCompact()
}

// expectBack has the next write wait for those who are being answered: they will soon be
// back, and it should take them along with those who came during this one, not leave one
// half of the clients to each of two. Clients is how many they all are; some may have gone.
func (l *appendLog) expectBack(clients int) {
	if l.expect = clients - clients/8; l.policy != always || l.took/2 < pauseMin || l.expect < 2 {
		l.expect = 0
	}
}

// isPatient reports whether they are being waited for: half of what a write takes at most,
// but no longer than pauseMax. That time begins when all replies have left: from their
// beginning on 9 of 10 pauses were over before enough clients had come, with 30 to 36 of
// 50 in a batch instead of 45, and a tenth fewer requests. All of a write's time is better
// for clients that are slow themselves, and worse for the others on epoll
// (bench/results/2026-11-29/kv-patience/about.txt).
func (l *appendLog) isPatient() bool {
	if len(l.server.waiting) < l.expect {
		if !l.patient && !l.pause.InFlight() { // the last one may still be ending
			var err error
			l.pauseEnd, err = l.loop.Submit(l.pause.Timeout(min(l.took/2, l.pauseMax)))
			l.patient = err == nil
		}
		return l.patient
	}
	if l.expect = 0; l.patient {
		l.patient = false
		l.loop.Cancel(l.pauseEnd)
	}
	return false
}

func (l *appendLog) paused(o *proactor.Op) {
	if _, err := o.Result(); err == nil {
		l.patient, l.expect = false, 0
		l.start()
	}
}

// fail refuses writes until one works again. What could not be written wasn't
// acknowledged, nor what depends on it; it is in memory, and tried again as it is.
// That is right for want of room alone: after any other error, and after any of a
// sync, nobody knows what is on the disk (the kernel may have dropped the pages
// that it could not write, and calls them clean), and the program ends without
// another acknowledgement.
func (l *appendLog) fail(err error) {
	if l.failed == nil {
		fmt.Fprintf(l.server.errs, "kv: %s: %v: no writes are taken until this works again\n", l.path, err)
	}
	l.failed = err
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

func (l *appendLog) retried(o *proactor.Op) {
	if _, err := o.Result(); err == nil {
		l.submitWrite()
	}
}

// tick is called every 100 ms.
func (l *appendLog) tick() {
	if l == nil {
		return
	}
	if l.policy == everysec && l.dirty && !l.syncing && l.data.clock()-l.synced >= 1000 {
		l.submitSync()
	}
	l.maybeCompact()
}

func (l *appendLog) submitSync() {
	l.syncing, l.dirty, l.synced = true, false, l.data.clock()
	if _, err := l.loop.Submit(l.sync.Fdatasync(l.file)); err != nil {
		l.syncing = false
	}
}

func (l *appendLog) isSynced(o *proactor.Op) {
	l.syncing = false
	switch _, err := o.Result(); {
	case err == nil:
		l.start()
		if r := l.rewrite; r != nil {
			r.idle()
		}
	case errors.Is(err, proactor.ErrClosed), errors.Is(err, proactor.ErrCanceled):
	default:
		l.server.fatal(fmt.Errorf("fdatasync %s: %w", l.path, err))
	}
}

// busy reports whether an operation uses the file.
func (l *appendLog) busy() bool { return l.writing || l.filling > 0 || l.syncing }
