package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// wrk loads a path with HTTP requests over conns connections, as wrk(1) does. Any answer
// but a good one is an error.
func wrk(at place, path string, conns int, t time.Duration, more ...string) (w work, err error) {
	args := append([]string{"-t1", fmt.Sprint("-c", conns), fmt.Sprintf("-d%d", max(1, int(t.Seconds()+0.5))), "--latency"}, more...)
	out, err := exec.Command("wrk", append(args, "http://"+at.Addr+path)...).CombinedOutput()
	if err != nil {
		return w, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if bytes.Contains(out, []byte("Socket errors")) || bytes.Contains(out, []byte("Non-2xx")) {
		return w, fmt.Errorf("wrk:\n%s", out)
	}
	if m := wrkTotal.FindSubmatch(out); m != nil {
		w.Units, err = strconv.ParseFloat(string(m[1]), 64)
	}
	if m := wrkP99.FindSubmatch(out); m != nil && err == nil {
		w.P99, err = time.ParseDuration(string(m[1]))
	}
	return w, err
}

var (
	wrkTotal = regexp.MustCompile(`(\d+) requests in`)
	wrkP99   = regexp.MustCompile(`99%\s+([\d.]+[mu]?s)`)
)
