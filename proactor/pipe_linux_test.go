package proactor_test

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
)

// A large file, most of it holes, arrives as it is.
func TestAGibibyteThroughSendFile(t *testing.T) {
	size := int64(1 << 30)
	if raceEnabled || testing.Short() {
		size = 1 << 26
	}
	name, want := sparseFile(t, size)
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		opened := make(chan *proactor.File, 1)
		_, err := l.OpenFile(name, os.O_RDONLY, 0, func(f *proactor.File, err error) {
			if err != nil {
				t.Error(err)
			}
			opened <- f
		})
		require.NoError(t, err)
		f := got(t, opened)
		ln := listen(t, "tcp", "127.0.0.1:0")
		c := connected(t, l, &proactor.Dialer{}, "tcp", ln.Addr().String())
		peer := accept(t, ln)
		sum := make(chan []byte, 1)
		go func() { sum <- checksum(peer) }()
		sent := make(chan int, 1)
		_, err = c.SendFile(f, 0, op.ToTheEnd, func(n int, err error) {
			if err != nil {
				t.Error(err)
			}
			sent <- n
		})
		require.NoError(t, err)
		require.EqualValues(t, size, got(t, sent))
		closeConn(t, c)
		require.Equal(t, want, got(t, sum))
	})
}

func checksum(r io.Reader) []byte {
	h := sha256.New()
	_, _ = io.Copy(h, r)
	return h.Sum(nil)
}

// sparseFile makes a file with some data here and there, and returns its checksum.
func sparseFile(t *testing.T, size int64) (name string, sum []byte) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "large")
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(size))
	block := make([]byte, 4096)
	for off := int64(0); off < size-4096; off += 997 * 4096 {
		for i := range block {
			block[i] = byte(off>>12) + byte(i)
		}
		_, err := f.WriteAt(block, off+off>>12)
		require.NoError(t, err)
	}
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	return name, checksum(f)
}
