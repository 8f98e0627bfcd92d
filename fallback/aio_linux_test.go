package fallback_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/fallback"
	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const block = 4096

// With O_DIRECT the disk reads, and writes over what is there, without a worker; a write
// that makes the file longer is a worker's, and all is where io_submit(2) isn't allowed.
func TestDirectAccessNeedsNoWorker(t *testing.T) {
	for name, refuse := range map[string]bool{"allowed": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			l := aioLoop(t, fallback.Options{Workers: 2, NoAIO: refuse})
			f, _ := direct(t, l)
			const n = 16 // a disk's queue takes so many
			b := l.Memory(n * block)
			ops := make([]op.Op, n)
			each := func(prepare func(o *op.Op, b []byte, off int64)) (jobs uint64) {
				before := l.Stats().Engine.Jobs
				for i := range ops {
					ops[i].Done = func(*op.Op) {}
					prepare(&ops[i], b[i*block:(i+1)*block], int64(i*block))
					_, err := l.Submit(&ops[i])
					require.NoError(t, err)
				}
				for i := range ops {
					for ops[i].InFlight() {
						_, err := l.RunOnce(-1)
						require.NoError(t, err)
					}
					n, err := ops[i].Result()
					require.NoError(t, err)
					require.Equal(t, block, n)
				}
				return l.Stats().Engine.Jobs - before
			}
			write := func(o *op.Op, b []byte, off int64) { b[0] = byte(off / block); o.WriteAt(f, b, off) }
			read := func(o *op.Op, b []byte, off int64) { b[0] = 0xff; o.ReadAt(f, b, off) }
			require.EqualValues(t, n, each(write), "each makes the file longer")
			want := uint64(0)
			if refuse {
				want = n
			}
			require.Equal(t, want, each(read))
			for i := range ops {
				require.Equal(t, byte(i), b[i*block])
			}
			require.Equal(t, want, each(write))
			require.Equal(t, want, each(func(o *op.Op, b []byte, off int64) {
				o.Pwritev2(f, [][]byte{b[:block/2], b[block/2:]}, off, unix.RWF_DSYNC)
			}))
			require.EqualValues(t, n, each(func(o *op.Op, b []byte, off int64) {
				o.Pwritev2(f, [][]byte{b}, off, unix.RWF_HIPRI)
			}), "who polls is a worker")
		})
	}
}

// aioLoop returns a loop on an engine with the options.
func aioLoop(t *testing.T, o fallback.Options) *proactor.Loop {
	if !o.NoAIO {
		needAIO(t)
	}
	e, err := fallback.New(o)
	require.NoError(t, err)
	l, err := proactor.New(proactor.WithEngine(e))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// direct makes an empty file, opened with O_DIRECT.
func direct(t *testing.T, l *proactor.Loop) (f *proactor.File, name string) {
	name = filepath.Join(t.TempDir(), "file")
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT|unix.O_CLOEXEC, 0o600)
	if err == unix.EINVAL {
		t.Skip("the file system has no O_DIRECT")
	}
	require.NoError(t, err)
	f, err = l.NewFile(fd, name)
	require.NoError(t, err)
	return f, name
}

// needAIO skips where the kernel or the file system has no io_submit(2) that doesn't wait.
func needAIO(t *testing.T) {
	var ctx uintptr
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&ctx)), 0); errno != 0 {
		t.Skip("io_setup: ", errno)
	}
	_, _, errno := unix.Syscall(unix.SYS_IO_DESTROY, ctx, 0, 0)
	require.Zero(t, errno)
	fd, err := unix.Open(filepath.Join(t.TempDir(), "probe"), unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT|unix.O_CLOEXEC, 0o600)
	if err == unix.EINVAL {
		t.Skip("O_DIRECT: ", err)
	}
	require.NoError(t, err)
	defer unix.Close(fd)
	b, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(b)) }()
	_, err = unix.Pwrite(fd, b, 0)
	require.NoError(t, err)
	switch _, err = unix.Pwritev2(fd, [][]byte{b}, 0, unix.RWF_NOWAIT); err {
	case unix.EOPNOTSUPP, unix.EINVAL, unix.ENOSYS:
		t.Skip("RWF_NOWAIT: ", err)
	case unix.EAGAIN:
		var fs unix.Statfs_t
		require.NoError(t, unix.Fstatfs(fd, &fs))
		if fs.Type != unix.EXT4_SUPER_MAGIC && fs.Type != unix.XFS_SUPER_MAGIC {
			t.Skip("RWF_NOWAIT: the file system writes elsewhere, and waits for room")
		}
	}
	require.NoError(t, err)
}

// An operation that was asked to end before a worker has begun it doesn't begin: neither
// one that was only gathered nor one that the kernel has refused.
func TestDirectAccessThatHasNotBegunIsCancelled(t *testing.T) {
	l := aioLoop(t, fallback.Options{Workers: 1})
	f, name := direct(t, l)
	_, err := unix.Pwrite(f.FD(), l.Memory(block), 0)
	require.NoError(t, err)
	busy, free := make(chan struct{}), make(chan struct{})
	defer close(free)
	_, err = l.Go(func() { close(busy); <-free }, nil)
	require.NoError(t, err)
	_, err = l.RunOnce(0)
	require.NoError(t, err)
	<-busy // the worker is
	b := l.Memory(block)
	b[0] = 'x'
	for what, prepare := range map[string]func(o *op.Op) *op.Op{
		"gathered": func(o *op.Op) *op.Op { return o.WriteAt(f, b, 0) },
		"refused":  func(o *op.Op) *op.Op { return o.WritevAt(f, [][]byte{b[:block/2], b[block/2:]}, block) },
		"a job":    func(o *op.Op) *op.Op { return o.WriteAt(f, b, block) },
	} {
		for want, end := range map[error]func(o *op.Op){
			op.ErrCanceled:         func(*op.Op) {},
			os.ErrDeadlineExceeded: func(o *op.Op) { o.SetDeadline(time.Now()) },
		} {
			o := op.Op{Done: func(*op.Op) {}}
			end(prepare(&o))
			ticket, err := l.Submit(&o)
			require.NoError(t, err)
			if what == "a job" {
				_, err := l.RunOnce(0)
				require.NoError(t, err)
			}
			if want == op.ErrCanceled {
				l.Cancel(ticket)
			}
			for until := time.Now().Add(time.Minute); o.InFlight(); {
				_, err := l.RunOnce(time.Second)
				require.NoError(t, err)
				require.True(t, time.Now().Before(until), "%s: it waits for the worker", what)
			}
			n, err := o.Result()
			require.Zero(t, n, what)
			require.ErrorIs(t, err, want, what)
		}
	}
	after, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, make([]byte, block), after, "nothing was written")
}

// What is wrong with one operation is no reason to do without for the others.
func TestAWrongDirectAccessLeavesTheOthersAlone(t *testing.T) {
	l := aioLoop(t, fallback.Options{Workers: 1})
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, make([]byte, block), 0o600))
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Fsync(fd))
	f, err := l.NewFile(fd, name)
	require.NoError(t, err)
	b := l.Memory(block)
	do := func(o *op.Op) (int, error) {
		o.Done = func(*op.Op) {}
		_, err := l.Submit(o)
		require.NoError(t, err)
		for o.InFlight() {
			_, err := l.RunOnce(-1)
			require.NoError(t, err)
		}
		return o.Result()
	}
	for name, wrong := range map[string]struct {
		prepare func(o *op.Op) *op.Op
		err     error
	}{
		"not for writing": {func(o *op.Op) *op.Op { return o.WriteAt(f, b, 0) }, unix.EBADF},
		"too far":         {func(o *op.Op) *op.Op { return o.ReadAt(f, b, math.MaxInt64/block*block) }, unix.EINVAL},
		"not aligned":     {func(o *op.Op) *op.Op { return o.ReadAt(f, b, 1) }, unix.EINVAL},
	} {
		_, err := do(wrong.prepare(new(op.Op)))
		require.ErrorIs(t, err, wrong.err, name)
		before := l.Stats().Engine.Jobs
		n, err := do(new(op.Op).ReadAt(f, b, 0))
		require.NoError(t, err)
		require.Equal(t, block, n)
		require.Equal(t, before, l.Stats().Engine.Jobs, "after %s", name)
	}
}
