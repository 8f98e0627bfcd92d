package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// compactSuffix is behind the name of the file that a compaction makes.
const compactSuffix = ".compact"

// A slice of a compaction is so much at most, between two turns of the loop. A
// single value can be larger than that.
const (
	sliceBytes   = 64 << 10
	sliceEntries = 512
	lastRound    = 1 << 20 // the writes of the last round, for which clients wait
	roundsMax    = 8
	compactPause = 10 * time.Second // after one that failed
)

// rewrite is a compaction under way: it writes what there is to a new file, slice
// by slice, and what is being written meanwhile to both. The slices are taken at
// different times, but a change that comes after its slice is behind it in the
// file, and one that comes before is in it. When all is there and durable, writing
// stops for the last round: what came in the end is made durable, the new file
// gets the name, the directory is made durable, and writing goes on in the new
// file. A crash finds the old file or the new one, and both have all that was
// acknowledged; of the new one only with its own name anything is used.
type rewrite struct {
	log    *appendLog
	file   *proactor.File
	plain  *os.File
	buf    []byte // batches that wait to be written
	flight []byte
	off    int64
	tail   tail
	busy   bool // an operation on the new file is under way
	synced bool // nothing was written since the last sync
	rounds int
	sliced bool   // all slices are taken
	needs  uint64 // and this batch may be in some of them only in part
	last   bool   // the last round
	done   bool   // over, or given up
	write  proactor.Op
	sync   proactor.Op
	began  time.Time
}

// maybeCompact begins a compaction when the file has become large enough.
func (l *appendLog) maybeCompact() {
	if l.off >= l.compactAt && l.off >= 2*l.base && l.data.clock() >= l.notBefore {
		l.compact()
	}
}

// compact begins a compaction unless one is under way.
func (l *appendLog) compact() {
	if l.rewrite != nil || l.held || l.failed != nil {
		return
	}
	r := &rewrite{log: l, buf: []byte(magic), began: time.Now()}
	r.write.Done, r.sync.Done = r.written, r.isSynced
	l.rewrite = r
	_, err := l.loop.OpenFile(l.path+compactSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600, r.opened)
	if err != nil {
		r.giveUp(err)
	}
}

func (r *rewrite) opened(f *proactor.File, err error) {
	if err != nil {
		r.giveUp(err)
		return
	}
	r.file = f
	fd, err := duplicateFD(f.FD())
	if err == nil {
		r.plain = os.NewFile(uintptr(fd), r.log.path)
		err = lockFile(r.plain)
	}
	if err != nil {
		r.giveUp(err)
		return
	}
	r.log.data.cursor = len(r.log.data.row)
	r.step()
}

// add takes a batch that goes to the old file.
func (r *rewrite) add(batch []byte) { r.buf = append(r.buf, batch...) }

// step does what comes next. What is written meanwhile must not keep it from the
// end: only much of that is written before the last round, and only so often.
func (r *rewrite) step() {
	d := r.log.data
	if r.busy || r.done {
		return
	}
	if d.cursor == 0 && !r.sliced {
		r.sliced, r.needs = true, r.log.last()
	}
	switch {
	case d.cursor > 0:
		r.buf = d.slice(r.buf)
		r.submitWrite()
	case r.last && r.log.busy():
		// idle comes back to it.
	case len(r.buf) > 0 && (r.last || r.isFarBehind()):
		r.rounds++
		r.submitWrite()
	case !r.synced:
		r.submitSync()
	case r.last:
		r.rename()
	case r.log.batch <= r.needs:
		// It is still gathered: without it the slices show half of what it does. When it
		// has been written, idle comes back.
	default:
		r.last, r.log.held = true, true
		r.step()
	}
}

// isFarBehind reports whether the last round would be long, and another one helps.
func (r *rewrite) isFarBehind() bool { return len(r.buf) > lastRound && r.rounds < roundsMax }

// idle is called when an operation on the old file has ended.
func (r *rewrite) idle() {
	if r.sliced {
		r.step()
	}
}

// slice appends a batch of the entries that come next.
func (d *data) slice(to []byte) []byte {
	begin := len(to)
	to = append(to, nothing[:batchHead]...)
	for n := 0; n < sliceEntries && d.cursor > 0 && len(to)-begin < sliceBytes; n++ {
		d.cursor--
		e := d.row[d.cursor]
		if e.expires == 0 || !d.isOver(e) {
			to = appendSet(to, []byte(e.key), e.val, e.expires)
		}
	}
	if len(to) == begin+batchHead {
		return to[:begin]
	}
	seal(to[begin:])
	return to
}

// size is how large a compacted file would be, about.
func (d *data) size() (n int64) {
	for _, e := range d.row {
		n += int64(len(e.key)+len(e.val)) + 13 // kind, expiry, lengths
	}
	return n
}

func (r *rewrite) submitWrite() {
	r.flight, r.buf = r.buf, r.flight[:0]
	r.busy, r.synced = true, false
	// Only a closing loop refuses.
	_, _ = r.log.loop.Submit(r.write.WriteAt(r.file, r.flight, r.off))
}

func (r *rewrite) written(o *proactor.Op) {
	n, err := o.Result()
	r.busy = false
	if err != nil {
		r.giveUp(err)
		return
	}
	r.off += int64(n)
	r.tail.add(r.flight[:n])
	if cap(r.flight) > keepMax {
		r.flight = nil
	}
	r.step()
	r.log.server.release() // some may wait because too much was waiting here
}

func (r *rewrite) submitSync() {
	r.busy, r.synced = true, true
	_, _ = r.log.loop.Submit(r.sync.Fsync(r.file))
}

func (r *rewrite) isSynced(o *proactor.Op) {
	r.busy = false
	if _, err := o.Result(); err != nil {
		r.giveUp(err)
		return
	}
	r.step()
}

func (r *rewrite) rename() {
	r.busy = true
	l := r.log
	_, err := l.loop.Rename(l.path+compactSuffix, l.path, func(err error) {
		r.busy = false
		if err != nil {
			r.giveUp(err)
			return
		}
		r.change()
	})
	if err != nil {
		r.giveUp(err)
	}
}

// change goes on in the new file, when its name is durable.
func (r *rewrite) change() {
	l := r.log
	r.done, l.rewrite = true, nil
	old, oldPlain, before := l.file, l.plain, l.off
	l.use(r.plain, r.file)
	l.off, l.base, l.zeroed, l.direct.tail = r.off, r.off, r.off, r.tail
	_ = oldPlain.Close()
	_ = old.Close(nil) // by an operation: the file goes with it, which takes its time
	l.syncName(func(err error) {
		switch {
		case err == nil:
		case errors.Is(err, proactor.ErrClosed), errors.Is(err, proactor.ErrCanceled):
			return
		default:
			l.server.fatal(fmt.Errorf("sync the directory of %s: %w", l.path, err))
			return
		}
		fmt.Fprintf(l.server.errs, "kv: %s: compacted from %d to %d bytes in %v\n", l.path, before, l.off, time.Since(r.began).Round(time.Millisecond))
		l.held = false
		l.compactions++
		l.start()
	})
}

// syncName makes the names in the file's directory durable.
func (l *appendLog) syncName(done func(error)) {
	_, err := l.loop.OpenFile(filepath.Dir(l.path), os.O_RDONLY, 0, func(dir *proactor.File, err error) {
		if err != nil {
			done(err)
			return
		}
		_, err = dir.Sync(false, func(err error) {
			_ = dir.Close(nil)
			done(err)
		})
		if err != nil {
			done(err)
		}
	})
	if err != nil {
		done(err)
	}
}

// giveUp ends a compaction that has failed. The old file goes on.
func (r *rewrite) giveUp(err error) {
	l := r.log
	if r.done {
		return
	}
	r.done, l.rewrite, l.data.cursor = true, nil, 0
	if r.plain != nil {
		_ = r.plain.Close()
	}
	if r.file != nil {
		_ = r.file.Close(nil)
	}
	l.notBefore = l.data.clock() + compactPause.Milliseconds()
	if errors.Is(err, proactor.ErrClosed) || errors.Is(err, proactor.ErrCanceled) {
		return // finish removes the file
	}
	fmt.Fprintf(l.server.errs, "kv: %s: compaction: %v: tried again later\n", l.path, err)
	_, _ = l.loop.Remove(l.path+compactSuffix, nil)
	l.held = false
	l.start()
}
