package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writer writes to keys of its own, several requests at a time, numbers that only
// grow, and keeps which of them were acknowledged.
type writer struct {
	name  string
	sent  map[string]int // the largest number sent
	acked map[string]int
	next  int
	pad   string
}

func newWriter(i int) *writer {
	return &writer{name: fmt.Sprint("w", i), sent: map[string]int{}, acked: map[string]int{}, pad: string(make([]byte, 10+rand.IntN(200)))}
}

// write writes until the connection fails. Acked counts what was acknowledged.
func (w *writer) write(at string, acked *atomic.Int64) error {
	c, err := dial(at)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for {
		var keys [][]string
		var numbers []int
		for range 1 + rand.IntN(8) {
			w.next++
			one := []string{w.key(rand.IntN(20))}
			request := []string{"SET", one[0], w.value(w.next)}
			switch rand.IntN(4) {
			case 0:
				// Both or none: they are looked at as a pair.
				one = []string{w.name + ":left", w.name + ":right"}
				request = []string{"MSET", one[0], w.value(w.next), one[1], w.value(w.next)}
			case 1:
				request = append(request, "EX", "100000")
			}
			for _, key := range one {
				w.sent[key] = w.next
			}
			c.add(request...)
			keys, numbers = append(keys, one), append(numbers, w.next)
		}
		if c.flush() != nil {
			return nil
		}
		for i := range keys {
			r, err := c.reply()
			if err != nil {
				return nil
			}
			if r != "OK" {
				return fmt.Errorf("reply: %v", r)
			}
			for _, key := range keys[i] {
				w.acked[key] = numbers[i]
			}
			acked.Add(1)
		}
	}
}

func (w *writer) key(i int) string   { return fmt.Sprint(w.name, ":", i) }
func (w *writer) value(n int) string { return strconv.Itoa(n) + " " + w.pad }
func numberOf(s string) (n int)      { _, _ = fmt.Sscan(s, &n); return n }

// check looks whether all that was acknowledged is there, and nothing that was
// never sent.
func (w *writer) check(t *testing.T, c *client) {
	pair := c.must(t, "MGET", w.name+":left", w.name+":right").([]any)
	require.Equal(t, pair[0], pair[1], "a command counts as a whole or not at all")
	for key, sent := range w.sent {
		got := 0
		if r := c.must(t, "GET", key); r != nil {
			require.IsType(t, "", r)
			got = numberOf(r.(string))
			require.Equal(t, w.value(got), r)
		}
		require.GreaterOrEqual(t, got, w.acked[key], "%s: an acknowledged write is lost", key)
		require.LessOrEqual(t, got, sent, key)
	}
}

// crash has the writers work until enough says so, and kills the server.
func crash(t *testing.T, c *child, writers []*writer, enough func(acked int64) bool) {
	var acked atomic.Int64
	var group sync.WaitGroup
	for _, w := range writers {
		group.Go(func() { assert.NoError(t, w.write(c.at, &acked)) })
	}
	for end := time.Now().Add(patience); !enough(acked.Load()); {
		require.True(t, time.Now().Before(end), "%d writes in %v", acked.Load(), patience)
		time.Sleep(100 * time.Microsecond) // an event of the child's: it is looked for
	}
	c.kill(t)
	group.Wait()
}

func rounds(long, short int) int {
	if testing.Short() {
		return short
	}
	return long
}

func TestAKillUnderLoadLosesNothingThatWasAcknowledged(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := filepath.Join(t.TempDir(), "log")
		var writers []*writer
		for i := range 8 {
			writers = append(writers, newWriter(i))
		}
		for round := range rounds(20, 3) {
			fsync := []policy{always, always, everysec, never}[round%4]
			c := startChild(t, "-engine", engine, "-file", file, "-fsync", string(fsync))
			n := connect(t, c.at)
			for _, w := range writers {
				w.check(t, n)
			}
			want := rand.Int64N(1000)
			crash(t, c, writers, func(acked int64) bool { return acked > want })
			require.NotContains(t, c.said.String(), "panic")
		}
		n := connect(t, startChild(t, "-engine", engine, "-file", file).at)
		for _, w := range writers {
			require.NotEmpty(t, w.acked)
			w.check(t, n)
		}
	})
}

func TestAKillDuringACompactionLosesNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := filepath.Join(t.TempDir(), "log")
		fresh := file + compactSuffix
		var writers []*writer
		for i := range 8 {
			writers = append(writers, newWriter(i))
		}
		compacted, during := 0, 0
		for range rounds(20, 3) {
			c := startChild(t, "-engine", engine, "-file", file, "-compact", "20000")
			n := connect(t, c.at)
			for _, w := range writers {
				w.check(t, n)
			}
			// At some point after a compaction has begun.
			var until int64
			crash(t, c, writers, func(acked int64) bool {
				if _, err := os.Stat(fresh); until == 0 && err == nil {
					until = acked + rand.Int64N(30)
				}
				return until > 0 && acked >= until
			})
			if _, err := os.Stat(fresh); err == nil {
				during++
			} else {
				compacted++
			}
		}
		t.Logf("killed during %d compactions, after %d", during, compacted)
		n := connect(t, startChild(t, "-engine", engine, "-file", file).at)
		for _, w := range writers {
			w.check(t, n)
		}
		require.NoFileExists(t, fresh)
	})
}

func TestACompactionUnderLoadLosesNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, fsync := range []policy{always, everysec} {
			file := filepath.Join(t.TempDir(), "log")
			s := serve(t, engine, "-file", file, "-fsync", string(fsync), "-compact", "30000")
			n := connect(t, s.at)
			for i := range 5000 { // more than a few slices
				n.add("SET", fmt.Sprint("k", i), fmt.Sprint(i))
			}
			require.NoError(t, n.flush())
			for range 5000 {
				r, err := n.reply()
				require.NoError(t, err)
				require.Equal(t, "OK", r)
			}
			var acked atomic.Int64
			var group sync.WaitGroup
			var writers []*writer // so many that there is always something new
			for i := range 16 {
				w := newWriter(i)
				writers = append(writers, w)
				group.Go(func() { assert.NoError(t, w.write(s.at, &acked)) })
			}
			s.until(t, "two compactions", func() bool { return s.log.compactions >= 2 })
			require.NoError(t, s.end())
			group.Wait()
			require.Contains(t, s.said.String(), "compacted from")
			require.NotContains(t, s.said.String(), "later")

			s = serve(t, engine, "-file", file)
			n = connect(t, s.at)
			for _, w := range writers {
				w.check(t, n)
			}
			for i := range 5000 {
				require.Equal(t, fmt.Sprint(i), n.must(t, "GET", fmt.Sprint("k", i)))
			}
			require.NoError(t, s.end())
		}
	})
}
