package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// That a key is gone, because its time is over, is only told when it is durable that it
// had one: a crash could bring back the value before that.
func TestAnExpiryIsToldWhenItIsDurable(t *testing.T) {
	for name, gone := range map[string]func(*server){
		"asked for": func(*server) {},
		"by itself": func(s *server) { s.data.expireSome() },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "epoll", "-file", t.TempDir()+"/log")
			a, b := connect(t, s.at), connect(t, s.at)
			now := time.Now().UnixMilli()
			s.on(t, func() { s.data.clock = func() int64 { return now } })
			require.Equal(t, "OK", a.must(t, "SET", "k", "old"))
			s.on(t, func() { s.log.held = true }) // the disk is slow
			a.add("SET", "k", "new", "PX", "100")
			require.NoError(t, a.flush())
			s.until(t, "it is set", func() bool { return len(s.data.timed) == 1 })
			before := uint64(0)
			s.on(t, func() {
				s.data.clock = func() int64 { return now + 200 }
				gone(s.server)
				before = s.commands
			})
			b.add("GET", "k")
			require.NoError(t, b.flush())
			s.until(t, "it is asked for", func() bool { return s.commands > before })
			waiting := 0
			s.on(t, func() {
				waiting = len(s.waiting)
				s.log.held = false
				s.log.start()
			})
			require.Equal(t, 2, waiting, "neither is answered")
			r, err := a.reply()
			require.NoError(t, err)
			require.Equal(t, "OK", r)
			r, err = b.reply()
			require.NoError(t, err)
			require.Nil(t, r)
		})
	}
}

// A crash right behind the rename of a compaction finds each MSET whole or not at all,
// also one that came between two slices.
func TestACompactedFileHasNoHalfOfABatch(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := t.TempDir() + "/log"
		s := serve(t, engine, "-file", file)
		const keys = 4 * sliceEntries
		key := func(i int) []byte { return fmt.Appendf(nil, "k%d", i) }
		changed := make(chan []byte, 1)
		count := 0
		var turn func()
		var began *os.File
		turn = func() {
			if s.log.plain != began { // it has just been renamed, and nothing written since
				b, err := os.ReadFile(file)
				if err != nil {
					b = nil
				}
				changed <- b
				return
			}
			count++
			for _, i := range []int{0, keys - 1} { // as MSET does: the last and the first that are taken
				val := fmt.Append(nil, count)
				s.data.set(key(i), val, 0, s.log.set(key(i), val, 0))
			}
			if s.loop.Post(turn) != nil {
				changed <- nil
			}
		}
		s.on(t, func() {
			for i := range keys {
				s.data.set(key(i), bs("0"), 0, s.log.set(key(i), bs("0"), 0))
			}
			began = s.log.plain
			s.log.compact()
			turn()
		})
		var b []byte
		select {
		case b = <-changed:
		case <-time.After(patience):
			t.Fatal("no compaction")
		}
		back := newData()
		_, torn, err := back.replay(bytes.NewReader(b), int64(len(b)), false)
		require.NoError(t, err)
		require.False(t, torn)
		require.Len(t, back.row, keys)
		require.Equal(t, string(back.get(key(0)).val), string(back.get(key(keys-1)).val))
	})
}

// The next write waits for all who have just been answered, and takes them together
// with those who came during the last one.
func TestClientsThatComeBackShareAWrite(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		late := connect(t, s.at)
		clients := []*client{connect(t, s.at), connect(t, s.at), connect(t, s.at)}
		set := func(key string) {
			for _, c := range clients {
				before := uint64(0)
				s.on(t, func() { before = s.commands })
				c.add("SET", key, "v")
				require.NoError(t, c.flush())
				s.until(t, "it is executed", func() bool { return s.commands > before })
			}
		}
		answered := func(clients ...*client) {
			for _, c := range clients {
				r, err := c.reply()
				require.NoError(t, err)
				require.Equal(t, "OK", r)
			}
		}
		set("first")
		answered(clients...)
		s.until(t, "there are zeros to write to", func() bool { return !s.log.busy() && !s.log.pause.InFlight() })
		s.on(t, func() { s.log.held = true })
		set("a")
		first := uint64(0)
		s.on(t, func() {
			s.log.took, s.log.pauseMax = time.Hour, time.Hour // the disk is slow: there is time to wait
			s.log.held = false
			first = s.log.batch
			s.log.start()
			for n := range s.sessions { // it comes during the write
				if !n.waits {
					n.take(bs("SET late v\r\n"))
					n.flush()
				}
			}
		})
		answered(clients...)
		set("b")
		answered(append(clients, late)...)
		last := uint64(0)
		s.on(t, func() { last = s.log.batch })
		require.Equal(t, first+2, last, "one write for those who came back and who came late")
	})
}

// The time that they are waited for begins when their replies have left.
func TestWhoIsWaitedForHasBeenAnswered(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		clients := []*client{connect(t, s.at), connect(t, s.at), connect(t, s.at)}
		s.on(t, func() { s.log.held = true })
		for _, c := range clients {
			c.add("SET", "k", "v")
			require.NoError(t, c.flush())
		}
		s.until(t, "all wait", func() bool { return len(s.waiting) == len(clients) })
		steps := make(chan [2]int, 1)
		s.on(t, func() {
			l := s.log
			l.noFill = true // whose end starts, too
			l.took, l.pauseMax = time.Hour, time.Hour
			l.held = false
			l.start()
			l.startNow = func() {
				l.startNow = l.start
				before := l.pause.InFlight()
				l.start()
				step := [2]int{l.expect}
				if !before && l.pause.InFlight() {
					step[1] = 1
				}
				steps <- step
			}
		})
		for _, c := range clients {
			r, err := c.reply()
			require.NoError(t, err)
			require.Equal(t, "OK", r)
		}
		require.Equal(t, [2]int{3, 1}, <-steps)
	})
}

// Clients that stay and clients that go, with a disk that is slow enough to wait for them:
// each reply comes, and what is stopped meanwhile ends.
func TestWhoIsWaitedForMayBeGone(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		one := connect(t, s.at)
		require.Equal(t, "OK", one.must(t, "SET", "k", "v"))
		require.Equal(t, "OK", one.must(t, "SET", "k", "v"))
		s.on(t, func() { s.log.took = time.Millisecond })
		var group sync.WaitGroup
		const clients, times = 12, 200
		for i := range clients {
			n := connect(t, s.at)
			group.Go(func() {
				for j := range times {
					if i%4 == 0 && j%10 == 9 { // leaves with a reply under way
						n.add("INCR", "gone")
						assert.NoError(t, n.flush())
						assert.NoError(t, n.conn.Close())
						var err error
						if n, err = dial(s.at); !assert.NoError(t, err) {
							return
						}
						t.Cleanup(func() { _ = n.conn.Close() })
					}
					_, err := n.do("INCR", "n")
					assert.NoError(t, err)
				}
			})
		}
		group.Wait()
		require.Equal(t, fmt.Sprint(clients*times), connect(t, s.at).must(t, "GET", "n"))
		s.until(t, "nobody waits", func() bool { return len(s.waiting) == 0 })
		require.NoError(t, s.end())
	})
}

// One who doesn't come back, or a disk that once stood still, costs the others a moment only.
func TestWhoStaysAwayIsNotWaitedForLong(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		a, b := connect(t, s.at), connect(t, s.at)
		s.on(t, func() { s.log.held = true })
		for _, c := range []*client{a, b} {
			c.add("SET", "k", "v")
			require.NoError(t, c.flush())
		}
		s.until(t, "both wait", func() bool { return len(s.waiting) == 2 })
		s.on(t, func() {
			s.log.held, s.log.took = false, time.Hour
			s.log.start()
		})
		for _, c := range []*client{a, b} {
			_, err := c.reply()
			require.NoError(t, err)
		}
		require.Equal(t, "OK", a.must(t, "SET", "k", "w"), "b stays away")
	})
}

// The log doesn't go where zeros are being written.
func TestTheLogWaitsForZeros(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		n := connect(t, s.at)
		require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
		s.until(t, "there are zeros", func() bool { return !s.log.busy() })
		s.on(t, func() {
			l := s.log
			l.filling = l.off + 1
			l.set(bs("a"), bs("2"), 0)
			l.start()
			require.False(t, l.writing)
			l.filling = 0
			l.start()
			require.True(t, l.writing)
		})
		require.Equal(t, "OK", n.must(t, "SET", "b", "3"))
	})
}

// The log goes over zeros, and there are more of them before it has come to their end.
func TestZerosAreThereBeforeTheLogIs(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := t.TempDir() + "/log"
		s := serve(t, engine, "-file", file)
		n := connect(t, s.at)
		val := strings.Repeat("x", 100<<10)
		ends := map[int64]bool{}
		for i := range 60 {
			require.Equal(t, "OK", n.must(t, "SET", fmt.Sprint(i), val))
			s.until(t, "there are zeros in front of it", func() bool { return !s.log.busy() })
			s.on(t, func() {
				ends[s.log.zeroed] = true
				require.GreaterOrEqual(t, s.log.zeroed-s.log.off, int64(fillAhead))
				info, err := os.Stat(file)
				require.NoError(t, err)
				require.Equal(t, s.log.zeroed, info.Size())
			})
		}
		require.InDelta(t, 60*len(val)/fillSize+1, len(ends), 1, "no more writes of zeros than that")
	})
}

// The log is told of its own errors: it shares no open file, whose offset they would
// share, too, with the zeros.
func TestTheZerosHaveAnOpenFileOfTheirOwn(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		n := connect(t, s.at)
		check := func() {
			s.on(t, func() {
				l := s.log
				_, err := unix.Seek(l.zeroFile.FD(), 123, io.SeekStart)
				require.NoError(t, err)
				off, err := unix.Seek(l.file.FD(), 0, io.SeekCurrent)
				require.NoError(t, err)
				require.NotEqual(t, int64(123), off)
				fd, err := duplicateFD(l.zeroFile.FD())
				require.NoError(t, err)
				zeros := os.NewFile(uintptr(fd), "zeros")
				require.True(t, isAt(zeros, l.path), "it is the same file")
				require.NoError(t, zeros.Close())
			})
		}
		require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
		check()
		n.must(t, "BGREWRITEAOF")
		s.until(t, "it is compacted", func() bool { return s.log.compactions == 1 })
		check()
		require.Equal(t, "OK", n.must(t, "SET", "b", "2"))
		s.until(t, "there are zeros", func() bool { return !s.log.busy() && s.log.zeroed > s.log.off })
		require.NoError(t, s.end())
		require.Equal(t, []any{"1", "2"}, connect(t, serve(t, engine, "-file", s.config.file).at).must(t, "MGET", "a", "b"))
	})
}

// On a full disk there are no zeros, and the log goes on as long as it has room.
func TestZerosThatHaveNoRoomAreDoneWithout(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("no small disk: ", err)
		}
		t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
		s := serve(t, engine, "-file", dir+"/log")
		n := connect(t, s.at)
		require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
		s.until(t, "it is tried", func() bool { return s.log.noFill })
		require.Equal(t, "OK", n.must(t, "SET", "b", strings.Repeat("x", 800<<10)))
		require.NoError(t, s.end())
		back := connect(t, serve(t, engine, "-file", dir+"/log").at)
		require.Equal(t, "1", back.must(t, "GET", "a"))
		require.Equal(t, int64(2), back.must(t, "DBSIZE"))
	})
}
