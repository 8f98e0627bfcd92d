package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestCommandsDoWhatThoseOfRedisDo(t *testing.T) {
	const notInt = failure("ERR value is not an integer or out of range")
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s := serve(t, engine)
		now := time.Now().UnixMilli()
		s.on(t, func() { s.data.clock = func() int64 { return now } })
		n := connect(t, s.at)
		for _, c := range []struct {
			request string
			want    any
		}{
			{"PING", "PONG"}, {"ping hello", "hello"}, {"ECHO x", "x"},
			{"GET", failure("ERR wrong number of arguments for 'get' command")},
			{"FOO a b", failure("ERR unknown command 'FOO', with args beginning with: 'a' 'b' ")},
			{"GET a", nil}, {"SET a 1", "OK"}, {"GET a", "1"}, {"STRLEN a", int64(1)},
			{"SET a 2 NX", nil}, {"GET a", "1"}, {"SET b 2 XX", nil}, {"GET b", nil},
			{"SET a 2 XX", "OK"}, {"SET a 3 GET", "2"}, {"SET c 3 NX GET", nil}, {"SET a 9 NX GET", "3"}, {"GET a", "3"},
			{"SET a 1 NX XX", failure(errSyntax)}, {"SET a 1 EX", failure(errSyntax)}, {"SET a 1 EX 1 PX 1", failure(errSyntax)},
			{"SET a 1 EX 0", failure("ERR invalid expire time in 'set' command")},
			{"SET a 1 EX -1", failure("ERR invalid expire time in 'set' command")},
			{"SET a 1 EX 9223372036854775807", failure("ERR invalid expire time in 'set' command")},
			{"SET a 1 PX x", notInt}, {"TTL a", int64(-1)}, {"TTL none", int64(-2)},
			{"SET a 1 EX 100", "OK"}, {"TTL a", int64(100)}, {"SET a 5 KEEPTTL", "OK"}, {"TTL a", int64(100)},
			{"INCR a", int64(6)}, {"TTL a", int64(100)}, {"SET a 1", "OK"}, {"TTL a", int64(-1)},
			{"EXPIRE a 50", int64(1)}, {"TTL a", int64(50)}, {"EXPIRE a 20 GT", int64(0)}, {"EXPIRE a 20 LT", int64(1)},
			{"EXPIRE a 20 NX", int64(0)}, {"PERSIST a", int64(1)}, {"PERSIST a", int64(0)}, {"EXPIRE a 20 XX", int64(0)},
			{"EXPIRE a 20 GT", int64(0)}, {"EXPIRE a 20 ZZ", failure("ERR Unsupported option ZZ")},
			{"EXPIRE a 9223372036854775807", failure("ERR invalid expire time in 'expire' command")},
			{"EXPIRE none 20", int64(0)}, {"PEXPIREAT a 4102444800000", int64(1)}, {"EXPIRE a -1", int64(1)}, {"EXISTS a", int64(0)},
			{"INCR i", int64(1)}, {"INCRBY i 41", int64(42)}, {"DECR i", int64(41)}, {"DECRBY i 1", int64(40)}, {"GET i", "40"},
			{"SET s x", "OK"}, {"INCR s", notInt}, {"INCRBY i x", notInt}, {"SET m 9223372036854775807", "OK"},
			{"INCR m", failure("ERR increment or decrement would overflow")},
			{"DECRBY i -9223372036854775808", failure("ERR decrement would overflow")},
			{"APPEND s yz", int64(3)}, {"GET s", "xyz"}, {"APPEND new 1", int64(1)}, {"SETNX s 1", int64(0)}, {"SETNX t 1", int64(1)},
			{"GETSET t 2", "1"}, {"GETDEL t", "2"}, {"GETDEL t", nil}, {"GETSET t 3", nil},
			{"SETEX t 10 v", "OK"}, {"TTL t", int64(10)}, {"PSETEX t 0 v", failure("ERR invalid expire time in 'psetex' command")},
			{"MSET x 1 y 2", "OK"}, {"MSET x 1 y", failure("ERR wrong number of arguments for 'mset' command")},
			{"MGET x none y", []any{"1", nil, "2"}}, {"EXISTS x x y none", int64(3)}, {"DEL x none y", int64(2)}, {"MGET x y", []any{nil, nil}},
			{"TYPE s", "string"}, {"TYPE x", "none"}, {"DBSIZE", int64(6)},
			{"SELECT 0", "OK"}, {"SELECT 1", failure("ERR DB index is out of range")},
			{"CONFIG GET maxcl*", []any{"maxclients", "10000"}}, {"CONFIG GET save appendonly", []any{"appendonly", "no", "save", ""}},
			{"CONFIG NO", failure("ERR unknown subcommand 'NO'. Try CONFIG HELP.")},
			{"CLIENT SETNAME me", "OK"}, {"CLIENT GETNAME", "me"}, {"HELLO 3", failure("NOPROTO unsupported protocol version")},
			{"COMMAND COUNT", int64(len(newCommands()))}, {"COMMAND DOCS", []any{}},
			{"COMMAND INFO get", []any{[]any{"get", int64(2), []any{"readonly"}, int64(1), int64(1), int64(1), []any{}, []any{}, []any{}, []any{}}}},
			{"BGREWRITEAOF", failure("ERR there is no append only file: -file")},
			{"FLUSHALL", "OK"}, {"DBSIZE", int64(0)}, {"QUIT", "OK"},
		} {
			require.Equal(t, c.want, n.must(t, strings.Fields(c.request)...), c.request)
		}
		_, err := n.reply()
		require.Error(t, err, "QUIT closes")
	})
}

func TestTimeTakesKeysAway(t *testing.T) {
	s := serve(t, "epoll")
	n := connect(t, s.at)
	now := time.Now().UnixMilli()
	s.on(t, func() { s.data.clock = func() int64 { return now } })
	n.must(t, "SET", "a", "1", "PX", "100")
	n.must(t, "SET", "b", "1", "PX", "100")
	require.Equal(t, int64(100), n.must(t, "PTTL", "a"))
	s.on(t, func() { s.data.clock = func() int64 { return now + 100 } })
	require.Nil(t, n.must(t, "GET", "a"))
	s.until(t, "the active expiry", func() bool { return len(s.data.row) == 0 })
	require.Equal(t, int64(0), n.must(t, "DBSIZE"))
}

func TestInfoTells(t *testing.T) {
	s := serve(t, "epoll", "-file", t.TempDir()+"/log")
	n := connect(t, s.at)
	n.must(t, "SET", "a", "1")
	info := n.must(t, "INFO").(string)
	for _, want := range []string{"# Server\r\n", "engine:epoll\r\n", "connected_clients:1\r\n", "aof_enabled:1\r\n",
		"aof_last_write_status:ok\r\n", "total_commands_processed:2\r\n", "db0:keys=1,expires=0,avg_ttl=0\r\n"} {
		require.Contains(t, info, want)
	}
	require.NotContains(t, info, "cmdstat")
	require.Equal(t, "# Commandstats\r\ncmdstat_info:calls=2\r\ncmdstat_set:calls=1\r\n", n.must(t, "INFO", "commandstats"))
}

func TestARequestAllocatesNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		n := connect(t, serve(t, engine).at)
		for _, request := range [][]string{{"SET", "key", "value"}, {"GET", "key"}, {"INCR", "i"}, {"PING"}} {
			n.out = n.out[:0]
			for range 10 {
				n.add(request...)
			}
			out := n.out
			b := make([]byte, 1<<10)
			reply := 0
			exchange := func() {
				_, err := n.conn.Write(out)
				for got := 0; err == nil && (got == 0 || got < reply); {
					var k int
					k, err = n.conn.Read(b)
					got += k
				}
				require.NoError(t, err)
			}
			n.must(t, request...) // sends ten more
			for range 10 {
				r, err := n.reply()
				require.NoError(t, err)
				_, isText := r.(string)
				_, isInt := r.(int64)
				require.True(t, isText || isInt)
			}
			reply = map[string]int{"SET": 50, "GET": 110, "INCR": 50, "PING": 70}[request[0]]
			require.Zero(t, testing.AllocsPerRun(200, exchange), fmt.Sprint(request))
		}
	})
}
