package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEveryReaderReads(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	name, err := theFile(1)
	require.NoError(t, err)
	for _, direct := range []bool{false, true} {
		for _, reader := range readers {
			t.Run(reader+", direct "+strconv.FormatBool(direct), func(t *testing.T) {
				needRing(t, reader)
				if direct {
					needDirect(t, name)
				}
				require.Positive(t, readBriefly(t, reader, name, direct).Requests)
			})
		}
	}
}

// readBriefly has a reader read for a short time; for longer if the machine was too
// busy for a single block in it.
func readBriefly(t *testing.T, reader, name string, direct bool) (f figures) {
	for _, d := range []string{"40ms", "400ms", "4s"} {
		cmd := exec.Command("/proc/self/exe", "-read", reader, name, "8", strconv.FormatBool(direct), d)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &f))
		if f.Requests > 0 {
			break
		}
	}
	return f
}

// needDirect skips where the file system can't do without its cache.
func needDirect(t *testing.T, name string) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if errors.Is(err, syscall.EINVAL) {
		t.Skip("no O_DIRECT in the directory for temporary files")
	}
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
}

func TestEveryReaderFindsAWrongBlock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "zeros") // but a block begins with its number
	f, err := os.Create(name)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(1<<20))
	require.NoError(t, f.Close())
	for _, reader := range readers {
		t.Run(reader, func(t *testing.T) {
			needRing(t, reader)
			require.ErrorIs(t, readArm(reader, []string{name, "4", "false", "1h"}), errWrong)
		})
	}
}
