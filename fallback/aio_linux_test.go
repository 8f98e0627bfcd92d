package fallback_test

import (
	"os"
	"path/filepath"
	"testing"
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
			e, err := fallback.New(fallback.Options{Workers: 2})
			require.NoError(t, err)
			if refuse {
				e.RefuseAIO()
			} else {
				needAIO(t)
			}
			l, err := proactor.New(proactor.WithEngine(e))
			require.NoError(t, err)
			defer func() { require.NoError(t, l.Close()) }()
			f := direct(t, l)
			b := l.Memory(64 * block)
			ops := make([]op.Op, 64)
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
			require.EqualValues(t, 64, each(write), "each makes the file longer")
			want := uint64(0)
			if refuse {
				want = 64
			}
			require.Equal(t, want, each(read))
			for i := range ops {
				require.Equal(t, byte(i), b[i*block])
			}
			require.Equal(t, want, each(write))
			require.Equal(t, want, each(func(o *op.Op, b []byte, off int64) {
				o.Pwritev2(f, [][]byte{b[:block/2], b[block/2:]}, off, unix.RWF_DSYNC)
			}))
			require.EqualValues(t, 64, each(func(o *op.Op, b []byte, off int64) {
				o.Pwritev2(f, [][]byte{b}, off, unix.RWF_HIPRI)
			}), "who polls is a worker")
		})
	}
}

// direct makes an empty file, opened with O_DIRECT.
func direct(t *testing.T, l *proactor.Loop) *proactor.File {
	name := filepath.Join(t.TempDir(), "file")
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT|unix.O_CLOEXEC, 0o600)
	if err == unix.EINVAL {
		t.Skip("the file system has no O_DIRECT")
	}
	require.NoError(t, err)
	f, err := l.NewFile(fd, name)
	require.NoError(t, err)
	return f
}

// needAIO skips where the kernel or the file system has no io_submit(2) that doesn't wait.
func needAIO(t *testing.T) {
	var ctx uintptr
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&ctx)), 0); errno != 0 {
		t.Skip("io_setup: ", errno)
	}
	_, _, errno := unix.Syscall(unix.SYS_IO_DESTROY, ctx, 0, 0)
	require.Zero(t, errno)
	name := filepath.Join(t.TempDir(), "probe")
	require.NoError(t, os.WriteFile(name, make([]byte, 2*block), 0o600))
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("O_DIRECT: ", err)
	}
	defer unix.Close(fd)
	require.NoError(t, unix.Fsync(fd))
	b, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(b)) }()
	if _, err := unix.Pwritev2(fd, [][]byte{b}, 0, unix.RWF_NOWAIT); err != nil {
		t.Skip("RWF_NOWAIT: ", err)
	}
}
