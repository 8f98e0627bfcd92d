//go:build linux

package optest

import (
	"bytes"
	"os"
	"runtime"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// memoryTests hold an engine to Loop.Memory, which is registered with the kernel
// where that can be.
var memoryTests = []test{
	{"Rule13_MemoryOfTheLoopIsReadIntoAndWrittenFromLikeAnyOther", loopMemory},
	{"Rule13_MemoryOfTheLoopIsAlignedForDirectReads", directMemory},
	{"Rule04_MemoryOfTheLoopOutlivesIt", memoryOutlivesLoop},
}

func loopMemory(e *env) {
	l := e.start()
	want := pattern(0, 3<<16)
	from, _ := e.file(want)
	to, path := e.file(nil)
	for range 20 { // more pieces than can be registered
		m := l.Memory(1 << 16)
		require.Len(e, m, 1<<16)
		e.settle()
		for _, part := range [][]byte{m, m[:1], m[1<<16-1:], m[777:30_000]} {
			const at = 12_345
			n, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(from, part, at) })
			require.NoError(e, err)
			require.Equal(e, len(part), n)
			require.True(e, bytes.Equal(want[at:at+n], part))
			n, err = e.do(func(o *op.Op) *op.Op { return o.WriteAt(to, part, at) })
			require.NoError(e, err)
			require.Equal(e, len(part), n)
		}
		written, err := os.ReadFile(path)
		require.NoError(e, err)
		require.True(e, bytes.Equal(want[12_345:12_345+30_000-777], written[12_345:12_345+30_000-777]))
	}
	m := l.Memory(4096)
	n, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(from, m, int64(len(want)-100)) })
	require.Error(e, err, "the file ends")
	require.Equal(e, 100, n)
	require.Empty(e, l.Memory(0))
}

func directMemory(e *env) {
	l := e.start()
	for _, n := range []int{1, 100, 5000, 30_000} { // pages don't come by themselves
		m := l.Memory(n)
		require.Len(e, m, n)
		require.Equal(e, n, cap(m))
		require.Zero(e, uintptr(unsafe.Pointer(&m[0]))%uintptr(os.Getpagesize()))
	}
	want := pattern(0, 1<<16)
	_, path := e.file(want)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err == unix.EINVAL {
		return // tmpfs before 6.6
	}
	f := e.register(fd, err)
	m := l.Memory(1 << 16)
	n, err := e.do(func(o *op.Op) *op.Op { return o.ReadAt(f, m[4096:], 4096) })
	require.NoError(e, err)
	require.Equal(e, len(m)-4096, n)
	require.True(e, bytes.Equal(want[4096:], m[4096:]))
}

func memoryOutlivesLoop(e *env) {
	l := e.start()
	m := l.Memory(1 << 16)
	e.settle()
	copy(m, pattern(0, len(m)))
	require.NoError(e, l.Close())
	for range 3 {
		runtime.GC()
	}
	require.True(e, bytes.Equal(pattern(0, len(m)), m))
	require.Len(e, l.Memory(10), 10, "merely not registered")
}
