package main

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

const (
	fillSize  = 4 << 20 // zeros at a time
	fillAhead = 2 << 20 // so many should be there
	// fillPiece is how long their writes are. What one call writes gets pages (folios) of
	// up to its size where the file system can do that, and each small write into such a
	// page looks at all its blocks. Ext4 of Linux 6.18, 2000 bytes with RWF_DSYNC over
	// zeros, CPU and time in us, medians of five: zeros by 4 MiB 38 and 86, by 1 MiB 24 and
	// 69, by 256 KiB and less 16 to 18 and 57 to 62 (bench/results/2026-11-28/kv-folios.txt).
	// Zeros that go past the page cache, as they do where the log does, leave no pages there:
	// a write with O_DIRECT that finds some needs a worker, to put them out.
	fillPiece = 256 << 10
	// fillBatch: larger batches get no zeros, they would be half of all that is written.
	fillBatch = 128 << 10
)

// fillMore has zeros written in front of the log.
func (l *appendLog) fillMore() {
	end := l.off + int64(len(l.flight))
	if l.policy != always || l.noFill || l.filling > 0 || len(l.flight) > fillBatch || l.zeroed-end > fillAhead {
		return
	}
	l.filling = toBlock(max(l.zeroed, end))
	l.zerosAt = l.filling
	l.fillNext()
}

// fillNext writes a piece of the zeros, or when all are there makes them durable:
// what is written over them has then nothing but itself to wait for.
func (l *appendLog) fillNext() {
	if l.isFilled() {
		l.fill.Fdatasync(l.zeroFile)
	} else {
		l.fill.WriteAt(l.zeroFile, l.zeros, l.zerosAt)
	}
	if _, err := l.loop.Submit(&l.fill); err != nil {
		l.filling = 0
	}
}

func (l *appendLog) isFilled() bool { return l.zerosAt-l.filling >= fillSize }

// filled goes on after a piece. If there is no room for zeros, there are none: they
// are for speed only. But a disk that has failed is not to be trusted with the log.
func (l *appendLog) filled(o *proactor.Op) {
	n, err := o.Result()
	switch {
	case err == nil && !l.isFilled():
		l.zerosAt += int64(n)
		l.fillNext()
		return
	case err == nil:
		l.zeroed = l.zerosAt
	case errors.Is(err, proactor.ErrClosed), errors.Is(err, proactor.ErrCanceled):
		return
	case noRoom(err) && !l.isFilled():
		l.noFill = true
	case errors.Is(err, syscall.EINVAL) && l.zeroDirect:
		l.refused, l.zeroDirect = true, false
		closeFile(&l.zeroFile)
		l.zeroFile = l.another(0)
		l.noFill = l.zeroFile == nil
	default:
		l.server.fatal(fmt.Errorf("write %s: %w", l.path, err))
		return
	}
	l.filling = 0
	if r := l.rewrite; r != nil {
		r.idle()
	}
	l.start()
}
