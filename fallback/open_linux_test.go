package fallback_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An open of a name that the kernel has in its cache needs no worker, if it can't wait
// for anything else either.
func TestACachedNameIsOpenedAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	probe := unix.OpenHow{Resolve: 0x20} // RESOLVE_CACHED
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &probe)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) {
		t.Skip("the kernel can't tell: ", err)
	}
	if err == nil {
		require.NoError(t, unix.Close(fd))
	}
	l, err := proactor.New(proactor.WithEngineName("epoll"))
	require.NoError(t, err)
	defer l.Close()
	open := func(flags uint64) (jobs uint64) {
		before := l.Stats().Engine.Jobs
		o := op.Op{Done: func(o *op.Op) {
			fd, err := o.Result()
			require.NoError(t, err)
			require.NoError(t, unix.Close(fd))
		}}
		_, err := l.Submit(o.OpenAt2(nil, name, op.OpenHow{Flags: flags}))
		require.NoError(t, err)
		for o.InFlight() {
			_, err := l.RunOnce(-1)
			require.NoError(t, err)
		}
		return l.Stats().Engine.Jobs - before
	}
	require.Zero(t, open(unix.O_NONBLOCK))
	require.EqualValues(t, 1, open(0), "it could be a FIFO")
}
