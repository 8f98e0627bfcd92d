package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// reading is a run of random reads in this process.
type reading struct {
	name      string
	depth     int
	flags     int
	time      time.Duration
	counted   atomic.Bool
	stopped   atomic.Bool
	requests  int
	latencies histogram
	mu        sync.Mutex // of the two, where several goroutines read
}

// readArm is the reader of one arm: it reads for the time, and a quarter of it
// before to warm up, and prints its figures as JSON.
func readArm(arm string, args []string) error {
	if len(args) != 4 {
		return errors.New("-read ARM FILE DEPTH DIRECT TIME")
	}
	r := &reading{name: args[0]}
	st, err := os.Stat(r.name)
	if err != nil {
		return err
	}
	blocks = st.Size() / blockSize
	if r.depth, err = strconv.Atoi(args[1]); err != nil {
		return err
	}
	if args[2] == "true" {
		r.flags = unix.O_DIRECT
	}
	if r.time, err = time.ParseDuration(args[3]); err != nil {
		return err
	}
	read := map[string]func() error{
		"ReadAt":              r.goroutines,
		"io_uring":            func() error { return r.loop("io_uring", false) },
		"io_uring-registered": func() error { return r.loop("io_uring", true) },
		"epoll":               func() error { return r.loop("epoll", false) },
		"aio":                 r.linuxAIO,
	}[arm]
	if read == nil {
		return fmt.Errorf("no arm %q", arm)
	}
	var f figures
	go r.clock(&f)
	if err := read(); err != nil {
		return err
	}
	f.Requests, f.P50, f.P99, f.P999 = r.requests, r.latencies.quantile(0.5), r.latencies.quantile(0.99), r.latencies.quantile(0.999)
	f.Allocs /= float64(max(f.Requests, 1))
	return json.NewEncoder(os.Stdout).Encode(f)
}

// clock begins and ends the measurement.
func (r *reading) clock(f *figures) {
	time.Sleep(r.time / 4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r.counted.Store(true)
	begun, cpu := time.Now(), lab.CPUTime(os.Getpid())
	time.Sleep(r.time)
	r.counted.Store(false)
	f.Elapsed, f.CPU = time.Since(begun), lab.CPUTime(os.Getpid())-cpu
	runtime.ReadMemStats(&after)
	f.Allocs = float64(after.Mallocs - before.Mallocs)
	r.stopped.Store(true)
}

// done checks and counts one read of a block.
func (r *reading) done(b []byte, block int64, begun time.Time) error {
	if binary.LittleEndian.Uint64(b) != uint64(block) {
		return errWrong
	}
	if r.counted.Load() {
		r.requests++
		r.latencies.add(time.Since(begun))
	}
	return nil
}

// goroutines reads with os.File.ReadAt in as many goroutines as the depth says.
func (r *reading) goroutines() error {
	f, err := os.OpenFile(r.name, os.O_RDONLY|r.flags, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	errs := make([]error, r.depth)
	memory, err := unix.Mmap(-1, 0, r.depth*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = r.goroutine(f, memory[i*blockSize:(i+1)*blockSize]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *reading) goroutine(f *os.File, b []byte) error {
	for !r.stopped.Load() {
		block := rand.Int64N(blocks)
		begun := time.Now()
		if _, err := f.ReadAt(b, block*blockSize); err != nil {
			return err
		}
		r.mu.Lock()
		err := r.done(b, block, begun)
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// linuxAIO reads with Linux AIO: what is done is replaced by as many requests in
// one system call. Without O_DIRECT that call does the reading itself.
func (r *reading) linuxAIO() error {
	f, err := os.OpenFile(r.name, os.O_RDONLY|r.flags, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	memory, err := unix.Mmap(-1, 0, r.depth*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	a, err := newAIO(r.depth)
	if err != nil {
		return err
	}
	defer a.close()
	slots := make([]aioSlot, r.depth)
	for i := range slots {
		slots[i].b = memory[i*blockSize : (i+1)*blockSize]
		a.batch = append(a.batch, slots[i].next(i, f))
	}
	for !r.stopped.Load() {
		if err := a.submit(); err != nil {
			return err
		}
		events, err := a.wait()
		if err != nil {
			return err
		}
		for _, ev := range events {
			s := &slots[ev.data]
			if ev.res != blockSize {
				return fmt.Errorf("read by Linux AIO: %d, as a count or a negative errno", ev.res)
			}
			if err := r.done(s.b, s.block, s.begun); err != nil {
				return err
			}
			a.batch = append(a.batch, s.next(int(ev.data), f))
		}
	}
	return nil
}

// aioSlot is one of the requests in flight. Its memory is mapped and stays so: the
// kernel has it as a number.
type aioSlot struct {
	b     []byte
	block int64
	begun time.Time
}

func (s *aioSlot) next(i int, f *os.File) iocb {
	s.block, s.begun = rand.Int64N(blocks), time.Now()
	return iocb{data: uint64(i), command: aioPRead, fd: uint32(f.Fd()), buf: uint64(uintptr(unsafe.Pointer(&s.b[0]))), bytes: blockSize, offset: s.block * blockSize}
}

// loop reads with one loop that has as many operations in flight.
func (r *reading) loop(engine string, registered bool) error {
	loop, err := proactor.New(proactor.WithEngineName(engine), proactor.WithWorkers(max(r.depth, 4)))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(r.name, os.O_RDONLY|r.flags, 0)
	if err != nil {
		return err
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	f.Close()
	if err != nil {
		return err
	}
	file, err := loop.NewFile(fd, r.name)
	if err != nil {
		return err
	}
	var memory []byte
	if registered {
		memory = loop.Memory(r.depth * blockSize)
	} else if memory, err = unix.Mmap(-1, 0, r.depth*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
		return err
	}
	var failed error
	for i := range r.depth {
		b := &blockReader{r: r, loop: loop, file: file, b: memory[i*blockSize : (i+1)*blockSize]}
		b.op.Done = b.done
		b.fail = func(err error) {
			if failed == nil {
				failed = err
			}
			_ = loop.Close()
		}
		_ = loop.Post(b.next)
	}
	return errors.Join(loop.Run(context.Background()), failed)
}

// blockReader is one of the operations in flight.
type blockReader struct {
	r     *reading
	loop  *proactor.Loop
	file  *proactor.File
	op    proactor.Op
	b     []byte
	block int64
	begun time.Time
	fail  func(error)
}

func (b *blockReader) next() {
	b.block = rand.Int64N(blocks)
	b.begun = time.Now()
	if _, err := b.loop.Submit(b.op.ReadAt(b.file, b.b, b.block*blockSize)); err != nil {
		b.fail(err)
	}
}

func (b *blockReader) done(o *proactor.Op) {
	_, err := o.Result()
	if b.r.stopped.Load() {
		_ = b.loop.Close()
		return
	}
	if err == nil {
		err = b.r.done(b.b, b.block, b.begun)
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.next()
}
