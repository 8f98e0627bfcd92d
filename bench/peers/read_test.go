//go:build linux

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// numbered makes a file whose blocks begin with their numbers.
func numbered(t *testing.T, blocks int) string {
	t.Helper()
	b := make([]byte, blocks*4096)
	for i := range blocks {
		binary.LittleEndian.PutUint64(b[i*4096:], uint64(i))
	}
	name := filepath.Join(t.TempDir(), "blocks")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// needDirect skips where the file system can't do without its cache.
func needDirect(t *testing.T, name string) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("no O_DIRECT in the directory for temporary files")
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

// readBriefly has a reader read for a short time; for longer if the machine was too
// busy for a single block in it.
func readBriefly(t *testing.T, reader, name string, depth int, direct bool) (f figures, took time.Duration) {
	t.Helper()
	for _, took = range []time.Duration{40 * time.Millisecond, 400 * time.Millisecond, 4 * time.Second} {
		cmd := exec.Command(os.Args[0], "-read", reader, name, strconv.Itoa(depth), strconv.FormatBool(direct), took.String())
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &f)
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Requests > 0 {
			break
		}
	}
	return f, took
}

func TestReadersReadAndMeasure(t *testing.T) {
	name := numbered(t, 256)
	for reader := range readers {
		for _, depth := range []int{1, 8, 40} {
			for _, direct := range []bool{false, true} {
				t.Run(reader+", depth "+strconv.Itoa(depth)+", direct "+strconv.FormatBool(direct), func(t *testing.T) {
					if direct {
						needDirect(t, name)
					}
					f, took := readBriefly(t, reader, name, depth, direct)
					if f.Requests == 0 || f.CPU <= 0 || f.Elapsed < took {
						t.Errorf("no figures of %v: %+v", took, f)
					}
					if f.P50 <= 0 || f.P99 < f.P50 || f.P999 < f.P99 {
						t.Errorf("latencies aren't in order: %+v", f)
					}
					// Half of the reads take at least the median; the first began
					// before the clock did, at most a whole time.
					if all := time.Duration(depth) * (f.Elapsed + took); f.P50*time.Duration(f.Requests)/2 > all {
						t.Errorf("a median of %v is more than all reads took: %+v", f.P50, f)
					}
				})
			}
		}
	}
}

func TestReadersFindAWrongBlock(t *testing.T) {
	name := numbered(t, 256)
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{99}, 7*4096); err != nil {
		t.Fatal(err)
	}
	for reader := range readers {
		t.Run(reader, func(t *testing.T) {
			if err := read(reader, []string{name, "4", "false", "1h"}); !errors.Is(err, errWrong) {
				t.Errorf("error %v, want errWrong", err)
			}
		})
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	name := numbered(t, 1)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reader, args string
		want         error // nil: any
	}{
		{"nobody", name + " 1 false 1ms", nil},
		{"posix-aio", name + " 1 false", nil},
		{"posix-aio", name + " 0 false 1ms", nil},
		{"posix-aio", name + " 1 false soon", nil},
		{"posix-aio", name + "-not 1 false 1ms", unix.ENOENT},
		{"posix-aio", empty + " 1 false 1ms", unix.ENODATA},
	} {
		err := read(c.reader, strings.Fields(c.args))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s %s: error %v, want %v", c.reader, c.args, err, c.want)
		}
	}
}

// A bucket of 2^k has the lower bound (64 + i) << k, at index (k+1)*64 + i.
func TestAQuantileIsTheMiddleOfItsBucket(t *testing.T) {
	counts := make([]uint32, 58*64)
	counts[100], counts[2*64+3], counts[11*64+63] = 5, 4, 1
	for q, want := range map[float64]time.Duration{
		0:    100,
		0.49: 100,
		0.5:  (64+3)<<1 + 1,
		0.89: (64+3)<<1 + 1,
		0.9:  (64+63)<<10 + 512,
	} {
		if got := quantile(counts, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := quantile(make([]uint32, 58*64), 0.5); got != 0 {
		t.Errorf("quantile of nothing is %d", got)
	}
}
