package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
)

// The file is the same with O_DIRECT, without, and where the file system takes back what
// it allowed: with small and large batches by turns, behind a compaction and a new start.
func TestTheLogIsTheSamePastThePageCache(t *testing.T) {
	ways := map[string]func(*appendLog){
		"direct":  func(*appendLog) {},
		"cached":  func(l *appendLog) { closeFile(&l.direct.file) },
		"refused": func(l *appendLog) { l.direct.mem, l.zeros = l.direct.mem[1:], l.zeros[1:] }, // EINVAL
	}
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for way, goThere := range ways {
			t.Run(way, func(t *testing.T) {
				file := t.TempDir() + "/log"
				can, anyMemory := tryDirect(file + ".try")
				if !can {
					t.Skip("the file system has no O_DIRECT")
				}
				if way == "refused" && anyMemory {
					t.Skip("the file system takes any memory")
				}
				want := map[string]string{}
				for range 2 {
					s := serve(t, engine, "-file", file)
					n := connect(t, s.at)
					s.on(t, func() {
						require.NotNil(t, s.log.direct.file)
						goThere(s.log)
					})
					set := func(size int) {
						key := fmt.Sprint(len(want))
						want[key] = strings.Repeat(key[:1], size)
						require.Equal(t, "OK", n.must(t, "SET", key, want[key]))
						s.on(t, func() {
							l := s.log
							require.Equal(t, way == "direct", l.direct.file != nil)
							took := l.file
							if way == "direct" && size <= 100<<10 {
								took = l.direct.file
							}
							require.EqualValues(t, took.FD(), l.write.Req().Handle.State().FD)
							b := make([]byte, l.off+2*block)
							got, err := l.plain.ReadAt(b, 0)
							require.True(t, err == nil || errors.Is(err, io.EOF), err)
							b = b[:got]
							d := newData()
							good, torn, err := d.replay(bytes.NewReader(b), int64(len(b)), false)
							require.NoError(t, err)
							require.False(t, torn)
							require.Equal(t, l.off, good)
							require.Equal(t, len(want), len(d.row))
							require.Equal(t, want[key], string(d.get(bs(key)).val))
						})
					}
					for _, size := range []int{1, 1, 700, block, block - 40, 3, 100 << 10, 3, 200 << 10, 3, 5000} {
						set(size)
					}
					n.must(t, "BGREWRITEAOF")
					s.until(t, "it is compacted", func() bool { return s.log.compactions == 1 })
					s.on(t, func() { goThere(s.log) })
					for _, size := range []int{1, 2 * block, 200 << 10, 9} {
						set(size)
					}
					if way == "refused" {
						s.until(t, "there are zeros", func() bool { return s.log.zeroed-s.log.off > fillAhead })
						s.on(t, func() { require.True(t, s.log.refused && !s.log.zeroDirect) })
					}
					require.NoError(t, s.end())
				}
				s := serve(t, engine, "-file", file)
				s.on(t, func() { require.Equal(t, want, contents(s.data)) })
			})
		}
	})
}

// tryDirect reports whether the file system has O_DIRECT, and whether it takes any memory
// then, as one in memory may.
func tryDirect(name string) (can, anyMemory bool) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|openDirect, 0o600)
	if err != nil {
		return false, false
	}
	defer f.Close()
	mem := make([]byte, 3*block)
	skip := -int(uintptr(unsafe.Pointer(&mem[0])))&(block-1) + 1
	_, err = f.WriteAt(mem[skip:skip+block], 0)
	return true, err == nil
}

// What a killed server has left in the kernel may be a write that still comes: each open
// file of the log's keeps it locked, for as long as the kernel has it.
func TestTheFileIsLockedAsLongAsAnythingHasItOpen(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, compact := range []bool{false, true} {
			file := t.TempDir() + "/log"
			s := serve(t, engine, "-file", file)
			n := connect(t, s.at)
			require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
			if compact {
				n.must(t, "BGREWRITEAOF")
				s.until(t, "it is compacted", func() bool { return s.log.compactions == 1 })
				require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
			}
			var open []*os.File
			can, _ := tryDirect(file + ".try")
			s.on(t, func() {
				require.Equal(t, can, s.log.direct.file != nil)
				for _, f := range []*proactor.File{s.log.file, s.log.direct.file, s.log.zeroFile} {
					if f == nil {
						continue // the file system has no O_DIRECT
					}
					fd, err := duplicateFD(f.FD())
					require.NoError(t, err)
					open = append(open, os.NewFile(uintptr(fd), file))
				}
			})
			require.NoError(t, s.end())
			for len(open) > 0 {
				f, err := os.Open(file)
				require.NoError(t, err)
				require.Error(t, lockFile(f), "%d have it open", len(open))
				require.NoError(t, f.Close())
				require.NoError(t, open[0].Close())
				open = open[1:]
			}
			require.Equal(t, "1", connect(t, serve(t, engine, "-file", file).at).must(t, "GET", "a"))
		}
	})
}
