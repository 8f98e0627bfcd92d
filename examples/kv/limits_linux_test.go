package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		n := connect(t, s.at)
		const many = 3000
		go func() {
			m := client{conn: n.conn}
			for i := range many {
				m.add("SET", "k", fmt.Sprint(i))
				m.add("GET", "k")
			}
			// In pieces that are no requests.
			for len(m.out) > 0 {
				k := min(len(m.out), 777)
				if _, err := m.conn.Write(m.out[:k]); err != nil {
					return
				}
				m.out = m.out[k:]
			}
		}()
		for i := range many {
			for _, want := range []string{"OK", fmt.Sprint(i)} {
				r, err := n.reply()
				require.NoError(t, err)
				require.Equal(t, want, r)
			}
		}
	})
}

func TestLargeValuesComeAndGo(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := t.TempDir() + "/log"
		s := serve(t, engine, "-file", file)
		n := connect(t, s.at)
		large := strings.Repeat("0123456789abcdef", 300<<10)
		require.Equal(t, "OK", n.must(t, "SET", "large", large))
		require.True(t, large == n.must(t, "GET", "large"))
		require.NoError(t, s.end())
		n = connect(t, serve(t, engine, "-file", file).at)
		require.True(t, large == n.must(t, "GET", "large"))
	})
}

func TestASlowReaderIsHeldBack(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-output", "100000")
		n := connect(t, s.at)
		value := strings.Repeat("x", 10000)
		n.must(t, "SET", "k", value)
		const many = 5000 // 50 MB of replies
		m := client{conn: n.conn}
		for range many {
			m.add("GET", "k")
		}
		sent := make(chan error, 1)
		go func() { sent <- m.flush() }()
		s.until(t, "it is held back", func() bool {
			for c := range s.sessions {
				if c.blocked {
					require.Less(t, len(c.out)+len(c.sent), 100000+20000)
					return true
				}
			}
			return false
		})
		// Others are served meanwhile.
		require.Equal(t, "PONG", connect(t, s.at).must(t, "PING"))
		for range many {
			r, err := n.reply()
			require.NoError(t, err)
			require.True(t, r == value)
		}
		require.NoError(t, <-sent)
		require.Equal(t, "PONG", n.must(t, "PING"))
	})
}

func TestThereIsALimitOfConnections(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-maxclients", "2")
		a, b := connect(t, s.at), connect(t, s.at)
		require.Equal(t, "PONG", a.must(t, "PING"))
		require.Equal(t, "PONG", b.must(t, "PING"))
		c := connect(t, s.at)
		r, err := c.reply()
		require.NoError(t, err)
		require.Equal(t, failure("ERR max number of clients reached"), r)
		_, err = c.reply()
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, a.conn.Close())
		s.until(t, "the place is free", func() bool { return len(s.sessions) == 1 })
		require.Equal(t, "PONG", connect(t, s.at).must(t, "PING"))
	})
}

func TestAProtocolErrorIsToldAndEndsTheConnection(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-max-bulk", "1000", "-max-request", "1500")
		for in, want := range map[string]string{
			"PING\r\n*1\r\n!\r\n":          "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n",
			"*1\r\n$1001\r\nPING\r\n":      "-ERR Protocol error: invalid bulk length\r\n",
			"*2000000\r\nPING\r\nPING\r\n": "-ERR Protocol error: invalid multibulk length\r\n",
			"*2\r\n$1000\r\n" + strings.Repeat("a", 1000) + "\r\n$1000\r\n": "-ERR Protocol error: too big request\r\n",
		} {
			c, err := net.Dial("tcp", s.at)
			require.NoError(t, err)
			_, err = c.Write([]byte(in))
			require.NoError(t, err)
			b, _ := io.ReadAll(c) // what it hasn't read can reset it behind that
			require.Equal(t, want, string(b))
			c.Close()
		}
		s.until(t, "they are gone", func() bool { return len(s.sessions) == 0 })
	})
}

// A client that has said all still gets its replies, of a log too.
func TestTheEndOfTheStreamWaitsForTheReplies(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		c, err := net.Dial("tcp", s.at)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("SET a 1\r\nGET a\r\nGET"))
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).CloseWrite())
		b, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "+OK\r\n$1\r\n1\r\n", string(b))
		s.until(t, "it is gone", func() bool { return len(s.sessions) == 0 })
	})
}

// toFile has the server's log write to another file.
func (r *running) toFile(t *testing.T, name string, flags int) (back func()) {
	f, err := os.OpenFile(name, flags, 0)
	require.NoError(t, err)
	fd, err := duplicateFD(int(f.Fd()))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	other, err := r.loop.NewFile(fd, name)
	require.NoError(t, err)
	l := r.log
	right, direct := l.file, l.direct.file
	r.until(t, "the log is idle", func() bool {
		if l.busy() {
			return false
		}
		if l.file = other; direct != nil {
			l.direct.file = other
		}
		return true
	})
	return func() { r.on(t, func() { l.file, l.direct.file = right, direct }) }
}

func TestNothingIsAcknowledgedWhileTheDiskIsFull(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		file := t.TempDir() + "/log"
		s := serve(t, engine, "-file", file, "-fsync", "no") // a device takes no RWF_DSYNC
		a, b, c := connect(t, s.at), connect(t, s.at), connect(t, s.at)
		require.Equal(t, "OK", a.must(t, "SET", "before", "1"))
		back := s.toFile(t, "/dev/full", os.O_RDWR)
		a.add("SET", "k", "1")
		require.NoError(t, a.flush())
		s.until(t, "the write has failed", func() bool { return s.log.failed != nil })
		require.Equal(t, failure("MISCONF Errors writing to the AOF file: pwritev2: no space left on device"), b.must(t, "SET", "k", "2"))
		require.Contains(t, b.must(t, "INFO"), "aof_last_write_status:err")
		require.Equal(t, "1", b.must(t, "GET", "before"))
		// What isn't durable isn't shown either.
		c.add("GET", "k")
		require.NoError(t, c.flush())
		s.until(t, "the reader waits", func() bool { return len(s.waiting) == 2 })
		back()
		for n, want := range map[*client]string{a: "OK", c: "1"} {
			r, err := n.reply()
			require.NoError(t, err)
			require.Equal(t, want, r)
		}
		require.Equal(t, "OK", b.must(t, "SET", "k", "2"))
		require.Contains(t, s.said.String(), "no writes are taken until this works again\n")
		require.Contains(t, s.said.String(), "writes work again\n")
		require.NoError(t, s.end())
		s = serve(t, engine, "-file", file)
		require.Equal(t, []any{"1", "2"}, connect(t, s.at).must(t, "MGET", "before", "k"))
	})
}

func TestAfterAnErrorOfTheDiskNothingIsAcknowledged(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, fsync := range []policy{always, everysec} {
			file := t.TempDir() + "/log"
			s := serve(t, engine, "-file", file, "-fsync", string(fsync))
			n := connect(t, s.at)
			require.Equal(t, "OK", n.must(t, "SET", "k", "1"))
			if fsync == always {
				s.toFile(t, file, os.O_RDONLY) // EBADF
				_, err := n.do("SET", "k", "2")
				require.Error(t, err)
				require.ErrorIs(t, s.end(), syscall.EBADF)
			} else {
				s.toFile(t, os.DevNull, os.O_RDWR) // can't be synced: EINVAL
				require.Equal(t, "OK", n.must(t, "SET", "k", "2"))
				_, err := n.reply()
				require.Error(t, err, "the program ends")
				require.ErrorIs(t, s.end(), syscall.EINVAL)
			}
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			d := newData()
			_, _, err = d.replay(bytes.NewReader(b), int64(len(b)), false)
			require.NoError(t, err)
			require.Equal(t, map[string]string{"k": "1"}, contents(d))
		}
	})
}

func TestACompactionThatFailsHarmsNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		dir := t.TempDir()
		s := serve(t, engine, "-file", dir+"/log")
		n := connect(t, s.at)
		require.NoError(t, os.Mkdir(dir+"/log"+compactSuffix, 0o700)) // in the way
		require.Equal(t, "OK", n.must(t, "SET", "a", "1"))
		n.must(t, "BGREWRITEAOF")
		s.until(t, "it has given up", func() bool { return s.log.rewrite == nil })
		require.Contains(t, s.said.String(), "is a directory: tried again later")
		require.NoError(t, os.RemoveAll(dir+"/log"+compactSuffix))
		require.Equal(t, "OK", n.must(t, "SET", "b", "2"))
		n.must(t, "BGREWRITEAOF")
		s.until(t, "it is done", func() bool { return s.log.compactions == 1 })
		require.Equal(t, "OK", n.must(t, "SET", "c", "3"))
		require.NoError(t, s.end())
		require.Equal(t, []any{"1", "2", "3"}, connect(t, serve(t, engine, "-file", dir+"/log").at).must(t, "MGET", "a", "b", "c"))
	})
}

func TestOnlyThePolicyAlwaysWaitsForTheDisk(t *testing.T) {
	for fsync, want := range map[policy]uint32{always: rwfDsync, everysec: 0, never: 0} {
		s := serve(t, "epoll", "-file", t.TempDir()+"/log", "-fsync", string(fsync))
		require.Equal(t, "OK", connect(t, s.at).must(t, "SET", "a", "1"))
		s.on(t, func() { require.Equal(t, want, s.log.write.Req().Args().Flags) })
	}
}

func TestWhatGathersWhileTheDiskWorksIsOneWrite(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log")
		var group sync.WaitGroup
		const clients = 20
		s.on(t, func() { s.log.held = true })
		for range clients {
			n := connect(t, s.at)
			group.Go(func() {
				r, err := n.do("INCR", "n")
				assert.NoError(t, err)
				assert.IsType(t, int64(0), r)
			})
		}
		s.until(t, "all wait", func() bool { return len(s.waiting) == clients })
		s.on(t, func() {
			require.Zero(t, s.log.durable)
			s.log.held = false
			s.log.start()
		})
		group.Wait()
		s.on(t, func() { require.EqualValues(t, 1, s.log.durable) })
		require.Equal(t, fmt.Sprint(clients), connect(t, s.at).must(t, "GET", "n"))
	})
}

func TestRequestsWaitWhileTooMuchIsToBeWritten(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine, "-file", t.TempDir()+"/log", "-compact", "100000")
		s.on(t, func() { s.log.gatherMax = 10000 })
		var group sync.WaitGroup
		for i := range 4 {
			n := connect(t, s.at)
			const many = 300
			for j := range many {
				n.add("SET", fmt.Sprint(i, " ", j), strings.Repeat("x", 3000))
			}
			m := client{conn: n.conn, out: n.out}
			group.Go(func() { assert.NoError(t, m.flush()) })
			group.Go(func() {
				for range many {
					r, err := n.reply()
					assert.NoError(t, err)
					assert.Equal(t, "OK", r)
				}
			})
		}
		group.Wait()
		s.on(t, func() {
			require.Len(t, s.data.row, 1200)
			require.NotZero(t, s.holds)
		})
	})
}
