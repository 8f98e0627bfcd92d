package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// openLog replays the file at path into d, cuts off what is behind its last batch,
// and makes it ready to be written to.
func openLog(loop *proactor.Loop, c *config, d *data, errs io.Writer) (*appendLog, error) {
	f, err := openLocked(c.file)
	if err != nil {
		return nil, err
	}
	l := &appendLog{loop: loop, data: d, path: c.file, policy: c.fsync, plain: f, batch: 1, compactAt: c.compact, gatherMax: gatherLimit, pauseMax: pauseMax}
	var file *proactor.File
	if err = l.load(c.repair, errs); err == nil {
		file, err = l.handle(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	l.use(f, file)
	// What a compaction would have left: a file that has had none for long, because
	// the program ended each time, may begin one soon.
	l.base = min(l.off, d.size())
	l.gather = make([]byte, batchHead, 16<<10)
	l.flight = make([]byte, batchHead, 16<<10)
	l.startNow = l.start
	l.write.Done, l.retry.Done, l.fill.Done, l.sync.Done = l.written, l.retried, l.filled, l.isSynced
	l.pause.Done = l.paused
	return l, nil
}

// lockPatience is how long the file of a server that was killed is waited for.
const lockPatience = 2 * time.Second

// openLocked opens the file for this process alone. The file of a server that was
// killed can be open for a moment longer: what it has in the kernel is awaited.
func openLocked(path string) (*os.File, error) {
	for until := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err = lockFile(f); err == nil && isAt(f, path) {
			return f, nil
		}
		_ = f.Close()
		if err != nil && time.Now().After(until) {
			return nil, fmt.Errorf("%s: another process uses it: %w", path, err)
		}
	}
}

// isAt reports whether f is what the path names: it may have been replaced.
func isAt(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

func (l *appendLog) load(repair bool, errs io.Writer) error {
	info, err := l.plain.Stat()
	if err != nil {
		return err
	}
	good, torn, err := l.data.replay(l.plain, info.Size(), repair)
	if err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	if torn {
		fmt.Fprintf(errs, "kv: %s: its end is torn: cut off behind the last whole batch, at byte %d of %d\n", l.path, good, info.Size())
	}
	if err := l.plain.Truncate(good); err != nil {
		return err
	}
	if l.off = good; good == 0 {
		if _, err := l.plain.WriteAt([]byte(magic), 0); err != nil {
			return err
		}
		l.off = int64(len(magic))
	}
	if err := l.plain.Sync(); err != nil {
		return err
	}
	if err := os.Remove(l.path + compactSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := l.direct.tail.read(l.plain, l.off); err != nil {
		return err
	}
	l.zeroed = l.off
	return syncDir(l.path)
}

// use goes on with the file f, which is file for the loop. What goes past the page cache
// has a descriptor of its own, and the zeros have another one that was opened anew: the
// kernel tells each open file once of an error of the disk, and what the log has lost must
// not be told to the zeros alone.
func (l *appendLog) use(f *os.File, file *proactor.File) {
	closeFile(&l.direct.file)
	closeFile(&l.zeroFile)
	l.plain, l.file = f, file
	if l.policy != always {
		return
	}
	if !l.refused {
		l.direct.file = l.another(openDirect)
	}
	if l.zeroDirect = l.direct.file != nil; l.zeroDirect {
		l.zeroFile = l.another(openDirect)
	} else {
		l.zeroFile = l.another(0)
	}
	l.noFill = l.zeroFile == nil // they are for speed only
	if l.zeros == nil {
		mem := l.loop.Memory(directSize + fillPiece)
		l.direct.mem, l.zeros = mem[:directSize], mem[directSize:]
	}
}

// another opens the log's file once more. Nil: it can't be, with these flags.
func (l *appendLog) another(flags int) *proactor.File {
	f, err := reopen(l.plain, flags)
	if err != nil {
		return nil
	}
	defer f.Close()
	if shareLock(f) != nil {
		return nil
	}
	file, _ := l.handle(f)
	return file
}

func closeFile(f **proactor.File) {
	if *f != nil {
		_ = (*f).Close(nil)
		*f = nil
	}
}

// handle returns a descriptor of the loop's for what f has open.
func (l *appendLog) handle(f *os.File) (*proactor.File, error) {
	fd, err := duplicateFD(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	file, err := l.loop.NewFile(fd, l.path)
	if err != nil {
		_ = os.NewFile(uintptr(fd), l.path).Close()
		return nil, err
	}
	return file, nil
}

// finish ends the log, when the loop has ended: it writes what is still there,
// which nobody was told of, takes the zeros away and makes all of it durable.
func (l *appendLog) finish(cause error) error {
	defer l.plain.Close()
	if cause != nil {
		return nil // the disk is not to be trusted
	}
	if err := os.Remove(l.path + compactSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var tail []byte
	if l.writing {
		tail = append(tail, l.flight...)
	}
	if len(l.gather) > batchHead {
		seal(l.gather)
		tail = append(tail, l.gather...)
	}
	if _, err := l.plain.WriteAt(tail, l.off); err != nil {
		return err
	}
	if err := l.plain.Truncate(l.off + int64(len(tail))); err != nil {
		return err
	}
	if err := l.plain.Sync(); err != nil {
		return err
	}
	return syncDir(l.path)
}
