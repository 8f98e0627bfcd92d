//go:build linux

package optest

import (
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// smallDisk returns the root of a new tmpfs with the options, which is mounted
// nowhere: it is gone with its last descriptor.
func (e *env) smallDisk(options ...string) (dir int) {
	e.Helper()
	c, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		e.Skip("no file system may be made here: ", err) // not root, or before 5.2
	}
	defer unix.Close(c)
	for _, x := range options {
		key, value, ok := strings.Cut(x, "=")
		if ok {
			err = unix.FsconfigSetString(c, key, value)
		} else {
			err = unix.FsconfigSetFlag(c, key)
		}
		if err != nil {
			e.Skipf("no tmpfs with %s here: %v", x, err) // quotas: 6.6, and only if configured
		}
	}
	require.NoError(e, unix.FsconfigCreate(c))
	dir, err = unix.Fsmount(c, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		e.Skip("no file system may be mounted here: ", err)
	}
	return e.keep(dir)
}

func (e *env) createAt(dir int, name string) int {
	e.Helper()
	fd, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	require.NoError(e, err)
	return fd
}

func fullDisk(e *env) {
	e.start()
	dir := e.smallDisk("size=64k")
	e.fillsUp(e.createAt(dir, "file"), syscall.ENOSPC)

	// A copy, too, says how far it has come.
	require.NoError(e, unix.Unlinkat(dir, "file", 0))
	src, dst := e.register(e.createAt(dir, "src"), nil), e.register(e.createAt(dir, "dst"), nil)
	data := pattern(0, 40<<10)
	_, err := unix.Write(src.FD(), data)
	require.NoError(e, err)
	n, err := e.do(func(o *op.Op) *op.Op { return o.CopyFileRange(dst, 0, src, 0, len(data)) })
	require.ErrorIs(e, err, syscall.ENOSPC)
	require.Equal(e, 24<<10, n)
	got := make([]byte, len(data))
	there, err := unix.Pread(dst.FD(), got, 0)
	require.NoError(e, err)
	requireSame(e, data[:n], got[:there])
}

// quotaVar tells a test that the descriptor 3 is a file whose owner has a quota.
const quotaVar = "PROACTOR_TEST_QUOTA"

// The test runs again without the privileges for which no quota counts.
func fullQuota(e *env) {
	if os.Getenv(quotaVar) != "" {
		e.start()
		fd, err := unix.FcntlInt(3, unix.F_DUPFD_CLOEXEC, 4)
		require.NoError(e, err)
		e.fillsUp(fd, syscall.EDQUOT)
		return
	}
	const nobody = 65534
	dir := e.smallDisk("size=1m", "usrquota", "usrquota_block_hardlimit=64k")
	fd := e.createAt(dir, "file")
	require.NoError(e, unix.Fchown(fd, nobody, nobody))
	f := os.NewFile(uintptr(fd), "file")
	defer f.Close()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+strings.ReplaceAll(e.Name(), "/", "$/^")+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), quotaVar+"=3")
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(e, err, string(out))
	require.Contains(e, string(out), "--- PASS: "+e.Name())
}

// fillsUp writes to an empty file with room for 64 KiB until that is full: what was
// counted is there, and the error says why not more.
func (e *env) fillsUp(fd int, full syscall.Errno) {
	e.Helper()
	const room = 64 << 10
	f, err := e.loop.NewFile(fd, "file")
	require.NoError(e, err)
	data := pattern(0, 3*room)
	write := func(off int64, b ...[]byte) (int, error) {
		e.Helper()
		return counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteVec(b, off, 0, d) })
	}
	there := func(n int) {
		e.Helper()
		size, err := f.Size()
		require.NoError(e, err)
		require.EqualValues(e, n, size)
		b := make([]byte, n)
		_, err = counted(e, func(d func(int, error)) (op.Ticket, error) { return f.ReadAt(b, 0, d) })
		require.NoError(e, err)
		requireSame(e, data[:n], b)
	}
	n, err := counted(e, func(d func(int, error)) (op.Ticket, error) { return f.WriteAt(data, 0, d) })
	require.Equal(e, &fs.PathError{Op: "write", Path: "file", Err: full}, err)
	require.Equal(e, room, n)
	there(n)
	n, err = write(room, data[room:])
	require.ErrorIs(e, err, full)
	require.Zero(e, n)
	n, err = write(1000, data[1000:5000], data[5000:room]) // in its place there is room
	require.NoError(e, err)
	require.Equal(e, room-1000, n)
	there(room)

	require.NoError(e, ends(e, func(d func(error)) (op.Ticket, error) { return f.Truncate(8192, d) }))
	there(8192)
	n, err = write(8192, data[8192:9000], data[9000:40_000], data[40_000:])
	require.ErrorIs(e, err, full)
	require.Equal(e, room-8192, n, "in the middle of several buffers")
	there(room)
	require.NoError(e, plain(e, f.Close))
}
