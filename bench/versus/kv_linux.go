package main

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

func init() {
	for _, pipeline := range []int{1, 16} {
		for _, command := range []string{"get", "set"} {
			contests = append(contests, contest{
				name:    fmt.Sprintf("kv-%s-%d", command, pipeline),
				about:   fmt.Sprintf("%s without a file, redis-benchmark -c 50 -P %d", command, pipeline),
				unit:    "request",
				servers: []server{redisServer(""), kvServer("io_uring", ""), kvServer("epoll", "")},
				load:    func(at place, t time.Duration) (work, error) { return redisBenchmark(at, command, pipeline, t) },
			})
		}
	}
	for _, fsync := range []string{"always", "everysec"} {
		servers := []server{redisServer(fsync), kvServer("io_uring", fsync), kvServer("epoll", fsync)}
		contests = append(contests, contest{
			name:    "kv-" + fsync,
			about:   "set, appendfsync " + fsync + ", 50 clients of this program",
			unit:    "request",
			servers: servers,
			load:    sets.load,
		}, contest{
			name:    "kv-" + fsync + "-benchmark",
			about:   "set, appendfsync " + fsync + ", redis-benchmark -c 50",
			unit:    "request",
			servers: servers,
			load:    func(at place, t time.Duration) (work, error) { return redisBenchmark(at, "set", 1, t) },
		})
	}
}

// sets is the load that redis-benchmark -c 50 -t set puts on a server, byte for byte (seen
// on the wire, version 7.0.15). Of its own core redis-benchmark takes more for a request than the servers do of theirs, and
// so is the limit of those that don't wait for the disk; this takes two thirds of that.
var sets = &traffic{
	conns:  50,
	ask:    []byte("*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$3\r\nVXK\r\n"),
	answer: []byte("+OK\r\n"),
}

// load puts it on a server, with a loop for the time.
func (t *traffic) load(at place, d time.Duration) (work, error) {
	stop, err := t.start()
	if err != nil {
		return work{}, err
	}
	defer stop()
	return t.put(at.Addr, d)
}

// redisServer is redis-server with an append-only file, or with none if fsync is "".
func redisServer(fsync string) server {
	return server{"redis", func(at place) (*exec.Cmd, error) {
		host, port, err := net.SplitHostPort(at.Addr)
		if err != nil {
			return nil, err
		}
		args := []string{"--bind", host, "--port", port, "--dir", at.Dir, "--save", ""}
		if fsync == "" {
			args = append(args, "--appendonly", "no")
		} else {
			args = append(args, "--appendonly", "yes", "--appendfsync", fsync)
		}
		return exec.Command("redis-server", args...), nil
	}}
}

func kvServer(engine, fsync string) server {
	return server{engine, func(at place) (*exec.Cmd, error) {
		args := []string{"-addr", at.Addr, "-engine", engine}
		if fsync != "" {
			args = append(args, "-file", at.Dir+"/log", "-fsync", fsync)
		}
		return ours("kv", args...), nil
	}}
}

// redisBenchmark loads with one command over 50 connections, by redis-benchmark, which
// takes a count and not a time: the first of its two runs is for the rate.
func redisBenchmark(at place, command string, pipeline int, t time.Duration) (work, error) {
	count := 5000 * pipeline
	first, rate, err := redisBenchmarkRun(at, command, pipeline, count)
	if err != nil {
		return first, err
	}
	count = max(count, int(rate*t.Seconds()))
	w, _, err := redisBenchmarkRun(at, command, pipeline, count)
	w.Units += first.Units
	return w, err
}

func redisBenchmarkRun(at place, command string, pipeline, count int) (w work, rate float64, err error) {
	host, port, err := net.SplitHostPort(at.Addr)
	if err != nil {
		return w, 0, err
	}
	out, err := exec.Command("redis-benchmark", "-h", host, "-p", port, "-c", "50", "-n", strconv.Itoa(count),
		"-P", strconv.Itoa(pipeline), "-t", command, "--csv").CombinedOutput()
	m := redisRow.FindSubmatch(out)
	if err != nil || m == nil {
		return w, 0, fmt.Errorf("redis-benchmark: %v\n%s", err, out)
	}
	p99, err := strconv.ParseFloat(string(m[2]), 64)
	if err != nil {
		return w, 0, err
	}
	rate, err = strconv.ParseFloat(string(m[1]), 64)
	return work{Units: float64(count), P99: time.Duration(p99 * float64(time.Millisecond))}, rate, err
}

// redisRow is the test, requests/s, and in ms the average, least, p50, p95, p99 and most.
var redisRow = regexp.MustCompile(`"[GS]ET","([\d.]+)","[\d.]+","[\d.]+","[\d.]+","[\d.]+","([\d.]+)"`)
