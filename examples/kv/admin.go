package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The commands that tell of the server, and those that clients begin with.

func appendDigits(to []byte, n int64) []byte { return strconv.AppendInt(to, n, 10) }

func lowered(b []byte) []byte { return bytes.ToLower(b) }

func (s *server) ping(n *session, args [][]byte) {
	switch len(args) {
	case 1:
		n.simple("PONG")
	case 2:
		n.bulk(args[1])
	default:
		n.error("ERR wrong number of arguments for 'ping' command")
	}
}

func (s *server) echo(n *session, args [][]byte) { n.bulk(args[1]) }

func (s *server) quit(n *session, _ [][]byte) {
	n.ok()
	n.closing = true
}

func (s *server) selectDB(n *session, args [][]byte) {
	switch db, ok := parseInt(args[1]); {
	case !ok:
		n.error(errInteger)
	case db != 0:
		n.error("ERR DB index is out of range")
	default:
		n.ok()
	}
}

// hello is HELLO [2 [SETNAME name]]: RESP2 is what there is.
func (s *server) hello(n *session, args [][]byte) {
	if len(args) > 1 {
		if v, ok := parseInt(args[1]); !ok {
			n.error("ERR Protocol version is not an integer or out of range")
			return
		} else if v != 2 {
			n.error("NOPROTO unsupported protocol version")
			return
		}
	}
	if len(args) == 4 && is(args[2], "setname") {
		n.name = slices.Clone(args[3])
	} else if len(args) > 2 {
		n.error(errSyntax)
		return
	}
	n.out = appendArray(n.out, 14)
	for _, t := range []string{"server", "kv", "version", version, "proto"} {
		n.bulk([]byte(t))
	}
	n.integer(2)
	n.bulk([]byte("id"))
	n.integer(int64(n.id))
	for _, t := range []string{"mode", "standalone", "role", "master", "modules"} {
		n.bulk([]byte(t))
	}
	n.out = appendArray(n.out, 0)
}

func (s *server) client(n *session, args [][]byte) {
	switch sub := args[1]; {
	case is(sub, "setname") && len(args) == 3:
		if bytes.ContainsFunc(args[2], func(r rune) bool { return r <= ' ' || r > '~' }) {
			n.error("ERR Client names cannot contain spaces, newlines or special characters.")
			return
		}
		n.name = slices.Clone(args[2])
		n.ok()
	case is(sub, "getname") && len(args) == 2:
		if n.name == nil {
			n.null()
			return
		}
		n.bulk(n.name)
	case is(sub, "id") && len(args) == 2:
		n.integer(int64(n.id))
	case is(sub, "setinfo") && len(args) == 4:
		n.ok()
	default:
		n.error(wrongSub("CLIENT", sub))
	}
}

func wrongSub(command string, sub []byte) string {
	return fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s HELP.", sub, command)
}

func (s *server) time(n *session, _ [][]byte) {
	t := time.Now()
	n.texts(strconv.FormatInt(t.Unix(), 10), strconv.Itoa(t.Nanosecond()/1000))
}

func (s *server) rewrite(n *session, _ [][]byte) {
	switch l := s.log; {
	case l == nil:
		n.error("ERR there is no append only file: -file")
	case l.rewrite != nil || l.held:
		n.error("ERR Background append only file rewriting already in progress")
	case l.failed != nil:
		n.error("MISCONF Errors writing to the AOF file: " + l.failed.Error())
	default:
		l.compact()
		n.simple("Background append only file rewriting started")
	}
}

// configure is CONFIG GET pattern..., and what redis-benchmark sends besides.
func (s *server) configure(n *session, args [][]byte) {
	switch sub := args[1]; {
	case is(sub, "get") && len(args) > 2:
		var found []string
		for _, p := range s.parameters() {
			for _, pattern := range args[2:] {
				if ok, err := path.Match(string(lowered(pattern)), p[0]); ok && err == nil {
					found = append(found, p[0], p[1])
					break
				}
			}
		}
		n.texts(found...)
	case is(sub, "resetstat") && len(args) == 2:
		s.commands, s.accepted, s.rejected = 0, 0, 0
		for _, c := range s.table {
			c.calls = 0
		}
		n.ok()
	case is(sub, "set") && len(args) > 3:
		n.error("ERR CONFIG SET failed (possibly related to argument '" + string(args[2]) + "') - can't set immutable config")
	default:
		n.error(wrongSub("CONFIG", sub))
	}
}

// parameters are the configuration under the names that Redis has for it.
func (s *server) parameters() [][2]string {
	c := s.config
	only, fsync := "no", string(always)
	if s.log != nil {
		only, fsync = "yes", string(c.fsync)
	}
	return [][2]string{
		{"appendfilename", c.file},
		{"appendfsync", fsync},
		{"appendonly", only},
		{"auto-aof-rewrite-min-size", strconv.FormatInt(c.compact, 10)},
		{"auto-aof-rewrite-percentage", "100"},
		{"client-query-buffer-limit", strconv.Itoa(c.request)},
		{"databases", "1"},
		{"maxclients", strconv.Itoa(c.clients)},
		{"maxmemory", "0"},
		{"proto-max-bulk-len", strconv.Itoa(c.bulk)},
		{"save", ""},
	}
}

// command is COMMAND [COUNT | INFO name... | DOCS].
func (s *server) command(n *session, args [][]byte) {
	var names []string
	switch {
	case len(args) == 1 || is(args[1], "info") && len(args) == 2:
		for name := range s.table {
			names = append(names, name)
		}
		slices.Sort(names)
	case is(args[1], "count") && len(args) == 2:
		n.integer(int64(len(s.table)))
		return
	case is(args[1], "docs"):
		n.out = appendArray(n.out, 0)
		return
	case is(args[1], "info"):
		for _, a := range args[2:] {
			names = append(names, string(lowered(a)))
		}
	default:
		n.error(wrongSub("COMMAND", args[1]))
		return
	}
	n.out = appendArray(n.out, len(names))
	for _, name := range names {
		n.describe(s.table[name])
	}
}

func (n *session) describe(c *command) {
	if c == nil {
		n.out = append(n.out, "*-1\r\n"...)
		return
	}
	n.out = appendArray(n.out, 10)
	n.bulk([]byte(c.name))
	n.integer(int64(c.arity))
	n.out = appendArray(n.out, 1)
	if c.write {
		n.simple("write")
	} else {
		n.simple("readonly")
	}
	for _, i := range []int{c.first, c.last, c.step} {
		n.integer(int64(i))
	}
	for range 4 { // categories, tips, key specifications, subcommands
		n.out = appendArray(n.out, 0)
	}
}

// info is INFO [section...].
func (s *server) info(n *session, args [][]byte) {
	var b strings.Builder
	for _, part := range []struct {
		name string
		tell func(*strings.Builder)
	}{
		{"Server", s.tellServer}, {"Clients", s.tellClients}, {"Memory", s.tellMemory},
		{"Persistence", s.tellPersistence}, {"Stats", s.tellStats}, {"CPU", tellCPU},
		{"Commandstats", s.tellCommands}, {"Keyspace", s.tellKeyspace},
	} {
		if !wanted(args[1:], part.name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", part.name)
		part.tell(&b)
	}
	n.bulk([]byte(b.String()))
}

func wanted(sections [][]byte, name string) bool {
	if len(sections) == 0 {
		return name != "Commandstats"
	}
	return slices.ContainsFunc(sections, func(w []byte) bool {
		return is(w, strings.ToLower(name)) || is(w, "all") || is(w, "everything") || is(w, "default") && name != "Commandstats"
	})
}

func field(b *strings.Builder, name string, value any) { fmt.Fprintf(b, "%s:%v\r\n", name, value) }

func flagOf(on bool) int {
	if on {
		return 1
	}
	return 0
}

func (s *server) tellServer(b *strings.Builder) {
	engine, why := s.loop.Engine()
	field(b, "server", "go-proactor kv "+version)
	field(b, "redis_mode", "standalone")
	field(b, "engine", engine)
	field(b, "engine_why", why)
	field(b, "go_version", runtime.Version())
	field(b, "process_id", os.Getpid())
	field(b, "address", s.addr)
	field(b, "uptime_in_seconds", int(time.Since(s.started).Seconds()))
}

func (s *server) tellClients(b *strings.Builder) {
	blocked := 0
	for n := range s.sessions {
		blocked += flagOf(n.blocked)
	}
	field(b, "connected_clients", len(s.sessions))
	field(b, "maxclients", s.config.clients)
	field(b, "waiting_for_the_log", len(s.waiting))
	field(b, "held_back", blocked)
}

func (s *server) tellMemory(b *strings.Builder) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	field(b, "used_memory", m.HeapAlloc)
	field(b, "used_memory_sys", m.Sys)
	field(b, "maxmemory", 0)
}

func (s *server) tellPersistence(b *strings.Builder) {
	l := s.log
	field(b, "aof_enabled", flagOf(l != nil))
	if l == nil {
		return
	}
	status := "ok"
	if l.failed != nil {
		status = "err"
	}
	field(b, "aof_rewrite_in_progress", flagOf(l.rewrite != nil))
	field(b, "aof_rewrites", l.compactions)
	field(b, "aof_last_write_status", status)
	field(b, "aof_current_size", l.off)
	field(b, "aof_base_size", l.base)
	field(b, "aof_buffer_length", len(l.gather)-batchHead)
	field(b, "aof_batches", l.durable)
}

func (s *server) tellStats(b *strings.Builder) {
	st := s.loop.Stats()
	field(b, "total_connections_received", s.accepted)
	field(b, "rejected_connections", s.rejected)
	field(b, "total_commands_processed", s.commands)
	field(b, "times_held_back", s.holds)
	field(b, "expired_keys", s.data.expired)
	field(b, "loop_turns", st.Turns)
	field(b, "loop_callbacks", st.Callbacks)
}

func tellCPU(b *strings.Builder) {
	user, system := cpuTimes()
	field(b, "used_cpu_user", fmt.Sprintf("%.6f", user))
	field(b, "used_cpu_sys", fmt.Sprintf("%.6f", system))
}

func (s *server) tellCommands(b *strings.Builder) {
	var names []string
	for name, c := range s.table {
		if c.calls > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		field(b, "cmdstat_"+name, fmt.Sprintf("calls=%d", s.table[name].calls))
	}
}

func (s *server) tellKeyspace(b *strings.Builder) {
	if keys := len(s.data.row); keys > 0 {
		field(b, "db0", fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", keys, len(s.data.timed)))
	}
}
