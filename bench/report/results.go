package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// figures are one measurement. The names are those of bench's JSON, which bench
// can't share because it is a command.
type figures struct {
	Requests int
	Elapsed  time.Duration
	CPU      time.Duration
	LoadCPU  time.Duration
	P50      time.Duration
	P99      time.Duration
	P999     time.Duration
	Syscalls float64
	Allocs   float64
	Late     time.Duration
	Memory   int64
	PerConn  float64
}

// load is what the load generator did.
type load struct {
	Kind   string // empty: an echo on connections, or reads
	Conns  int
	Active int
	Size   int
	Pipe   int
	Churn  bool
	Loops  int
	Files  int
	Direct bool
	MiB    int
	Time   time.Duration
}

// result is one scenario's figures: one file.
type result struct {
	Scenario string
	What     string
	Date     time.Time
	Kernel   string
	CPU      string // its model
	Go       string
	CPUs     int
	Network  string
	Command  string
	Load     load
	Arms     []string // see base
	Rounds   map[string][]figures

	file string
}

// base is the arm that is the measure of the others: the reactor, if it is there.
func (r *result) base() string {
	if slices.Contains(r.Arms, "reactor") {
		return "reactor"
	}
	return r.Arms[0]
}

var (
	errNoFiles  = errors.New("no JSON files")
	errNoRounds = errors.New("no rounds")
	errStill    = errors.New("a round without requests") // a disk can stand still
)

// readResults reads a directory's JSON files and sorts the scenarios by family, kind and
// size. It says which it leaves out because nothing moved in one of their rounds. The
// errors of a file name it; errNoFiles and errNoRounds are wrapped.
func readResults(dir string) ([]*result, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("read %s: %w", dir, errNoFiles)
	}
	files := map[string]string{}
	var rs []*result
	for _, name := range names {
		r, err := readResult(name)
		if errors.Is(err, errStill) {
			fmt.Fprintln(os.Stderr, "report: left out:", err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if first := files[r.Scenario]; first != "" {
			return nil, fmt.Errorf("read %s: scenario %q is in %s, too", name, r.Scenario, first)
		}
		files[r.Scenario] = name
		rs = append(rs, r)
	}
	if len(rs) == 0 {
		return nil, fmt.Errorf("read %s: %w", dir, errNoRounds)
	}
	slices.SortFunc(rs, byKind)
	return slices.Concat(families(rs)...), nil
}

func readResult(name string) (*result, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := &result{file: filepath.Base(name)}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	return r, r.check()
}

// check keeps what would divide by zero, or plot nothing, out of the page.
func (r *result) check() error {
	if r.Scenario == "" {
		return errors.New("no scenario's name: not a file of bench -out?")
	}
	if len(r.Arms) == 0 {
		return fmt.Errorf("scenario %q: %w", r.Scenario, errNoRounds)
	}
	for _, a := range r.Arms {
		if len(r.Rounds[a]) == 0 {
			return fmt.Errorf("scenario %q, arm %q: %w", r.Scenario, a, errNoRounds)
		}
		for i, f := range r.Rounds[a] {
			if f.Requests < 0 || f.Elapsed <= 0 {
				return fmt.Errorf("scenario %q, arm %q, round %d: %d requests in %v", r.Scenario, a, i+1, f.Requests, f.Elapsed)
			}
			if f.Requests == 0 {
				return fmt.Errorf("scenario %q, arm %q, round %d: %w", r.Scenario, a, i+1, errStill)
			}
		}
	}
	return nil
}

// byKind orders scenarios: requests before file reads, plain echo before the
// special loads, small before large.
func byKind(a, b *result) int {
	return cmp.Or(
		cmp.Compare(min(a.Load.Files, 1), min(b.Load.Files, 1)),
		cmp.Compare(a.Load.Kind, b.Load.Kind),
		compareBool(a.Load.Churn, b.Load.Churn),
		cmp.Compare(max(a.Load.Loops, 1), max(b.Load.Loops, 1)),
		cmp.Compare(max(a.Load.Pipe, 1), max(b.Load.Pipe, 1)),
		cmp.Compare(a.Load.Size, b.Load.Size),
		compareBool(a.Load.Direct, b.Load.Direct),
		cmp.Compare(a.Load.Conns, b.Load.Conns),
		cmp.Compare(a.Load.Active, b.Load.Active),
		cmp.Compare(a.Load.Files, b.Load.Files),
		strings.Compare(a.Scenario, b.Scenario))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// unit is what the scenario's requests are called.
func (r *result) unit() string {
	if r.Load.Files > 0 {
		return "read"
	}
	return "request"
}

// clean makes a name fit for XML, which has no escape for control characters.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == 0xFFFE || c == 0xFFFF {
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}
