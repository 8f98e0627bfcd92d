package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// results are a run's, by scenario.
type results map[string]*result

// claim is what textbooks say, and how the figures answer. No findings: its scenarios
// were not measured.
type claim struct {
	text string
	ask  func(results) []finding
}

// finding is the answer of one scenario.
type finding struct {
	text  string
	holds bool
}

var claims = []claim{
	{"With few connections multiplexing is no better than a blocking thread for each", func(rs results) []finding {
		return rs.each([]string{"models-1", "models-64"}, "reactor", "threads", cpuUsed, func(ratio float64) bool { return !clearlyLess(ratio) })
	}},
	{"select and poll win while all connections are busy, and lose when most are idle", selectAndPoll},
	{"Edge-triggered is cheaper than level-triggered", func(rs results) []finding {
		return rs.each([]string{"models-1", "models-64", "models-1000"}, "reactor-edge", "reactor", cpuUsed, clearlyLess)
	}},
	{"POSIX aio is slow", func(rs results) []finding {
		return append(rs.each(fileScenarios, "posix-aio", "ReadAt", cpuUsed, clearlyMore),
			rs.each(fileScenarios, "posix-aio", "io_uring", cpuUsed, clearlyMore)...)
	}},
	{"Asynchronous I/O brings little over multiplexing, and over reads in threads", func(rs results) []finding {
		little := func(ratio float64) bool { return !clearlyLess(ratio) }
		return append(rs.each([]string{"small", "models-64"}, "io_uring", "reactor", cpuUsed, little),
			rs.each(fileScenarios, "io_uring", "ReadAt", cpuUsed, little)...)
	}},
	{"A slow handler blocks a reactor and a proactor alike", func(rs results) []finding {
		return append(blockedToo(rs, "io_uring"), blockedToo(rs, "epoll")...)
	}},
	{"Workers keep a slow handler from the other requests", func(rs results) []finding {
		only := []string{"slow"}
		return append(rs.each(only, "io_uring-workers", "io_uring", late, clearlyLess), rs.each(only, "epoll-workers", "epoll", late, clearlyLess)...)
	}},
}

var fileScenarios = []string{"direct-128", "direct-32", "cached-128", "cached-32", "cached-1"}

// What differs less than noise, as a ratio, is taken for alike.
const noise = 1.1

func clearlyLess(ratio float64) bool { return ratio < 1/noise }
func clearlyMore(ratio float64) bool { return ratio > noise }

// quantity is what arms are compared by.
type quantity struct {
	name string
	of   func(figures) float64
}

var (
	cpuUsed = quantity{"us of CPU per request", figures.cpuPerRequest}
	late    = quantity{"us until 99 % of the fast requests are answered", func(f figures) float64 { return us(f.P99) }}
)

// median is the quantity of an arm; false if the run has none.
func (rs results) median(scenario, arm string, q quantity) (float64, bool) {
	r := rs[scenario]
	if r == nil || len(r.Rounds[arm]) == 0 {
		return 0, false
	}
	m := median(r.Rounds[arm], q.of)
	return m, m > 0
}

// versus compares two arms of a scenario: none or one finding.
func (rs results) versus(scenario, a, b string, q quantity, holds func(ratio float64) bool) []finding {
	x, ok := rs.median(scenario, a, q)
	y, ok2 := rs.median(scenario, b, q)
	if !ok || !ok2 {
		return nil
	}
	text := fmt.Sprintf("%s: %s %.2f, %s %.2f %s, ratio %.2f", scenario, a, x, b, y, q.name, x/y)
	if rs[scenario].overlap(a, b, q) {
		return []finding{{text + ", rounds overlap", holds(1)}}
	}
	return []finding{{text, holds(x / y)}}
}

// overlap tells whether a round of one arm is within the rounds of the other: then
// the difference of the medians says nothing.
func (r *result) overlap(a, b string, q quantity) bool {
	aLo, aHi := bounds(r.Rounds[a], q.of)
	bLo, bHi := bounds(r.Rounds[b], q.of)
	return aLo <= bHi && bLo <= aHi
}

// each compares two arms in all of the scenarios that have both.
func (rs results) each(scenarios []string, a, b string, q quantity, holds func(ratio float64) bool) (fs []finding) {
	for _, s := range scenarios {
		fs = append(fs, rs.versus(s, a, b, q, holds)...)
	}
	return fs
}

// selectAndPoll needs both scenarios: the claim is of the difference.
func selectAndPoll(rs results) []finding {
	var busy, idle []finding
	for _, arm := range []string{"select", "poll"} {
		busy = append(busy, rs.versus("idle-0", arm, "reactor", cpuUsed, clearlyLess)...)
		idle = append(idle, rs.versus("idle-900", arm, "reactor", cpuUsed, clearlyMore)...)
	}
	if len(busy) == 0 || len(idle) == 0 {
		return nil
	}
	return append(busy, idle...)
}

// blockedToo asks whether an arm is blocked as the reactor is: others wait as long as
// the handler, and neither waits twice as long as the other.
func blockedToo(rs results, arm string) []finding {
	theirs, _ := rs.median("slow", "reactor", late)
	return rs.versus("slow", arm, "reactor", late, func(ratio float64) bool {
		return min(theirs, ratio*theirs) >= us(time.Millisecond) && ratio > 0.5 && ratio < 2
	})
}

func verdict(fs []finding) string {
	n := 0
	for _, f := range fs {
		if f.holds {
			n++
		}
	}
	switch n {
	case 0:
		return "does not hold here"
	case len(fs):
		return "holds"
	}
	return "holds in part"
}

// claims returns what the run has to say about the claims, as text.
func (rs results) claims() string {
	var b strings.Builder
	for _, c := range claims {
		fs := c.ask(rs)
		if len(fs) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", c.text, verdict(fs))
		for _, f := range fs {
			answer := "no"
			if f.holds {
				answer = "yes"
			}
			fmt.Fprintf(&b, "  %s: %s\n", f.text, answer)
		}
	}
	return b.String()
}

// publish prints what becomes of the claims, and writes it into claims.txt.
func (rs results) publish(dir string) error {
	text := rs.claims()
	if text == "" {
		return nil
	}
	fmt.Printf("claims (what differs less than %.0f %%, or than the rounds do, is taken for alike)\n%s", (noise-1)*100, text)
	if dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, "claims.txt"), []byte(text), 0o644)
}
