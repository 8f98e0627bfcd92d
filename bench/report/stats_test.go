package main

import (
	"math"
	"testing"
	"time"
)

func TestSpreadIsMedianMinAndMax(t *testing.T) {
	of := func(f figures) float64 { return f.Syscalls }
	got := spreadOf([]figures{{Syscalls: 4}, {Syscalls: 1}, {Syscalls: 3}, {Syscalls: 9}}, of)
	if want := (spread{3.5, 1, 9}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNumbersAreFormattedForReaders(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{number(1234567.891, 2), "1,234,567.89"},
		{number(999, 0), "999"},
		{number(1000, 0), "1,000"},
		{number(-1500, 0), "−1,500"},
		{number(0.4, 3), "0.400"},
		{short(200_000), "200k"},
		{short(1_500_000), "1.5M"},
		{short(0.5), "0.5"},
		{micros(50), "50 µs"},
		{micros(2000), "2 ms"},
		{micros(3e6), "3 s"},
		{times(0.725), "×0.72"},
		{times(math.NaN()), "–"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestAFigureThatWasNotMeasuredIsADash(t *testing.T) {
	for _, c := range columns("request") {
		want := "–"
		if c.zero {
			want = number(0, c.decimals)
		}
		if got := c.cell(spread{}).Median; got != want {
			t.Errorf("%s: got %s, want %s", c.name, got, want)
		}
	}
}

func TestScenariosAreRelatedByTheirArms(t *testing.T) {
	of := func(arms ...string) *result { return &result{Arms: arms} }
	small := of("net", "reactor", "epoll", "io_uring")
	for name, c := range map[string]struct {
		with *result
		want bool
	}{
		"an arm more":    {of("net", "reactor", "epoll", "io_uring", "gnet"), true},
		"another order":  {of("reactor", "net", "epoll", "io_uring"), true},
		"another base":   {of("net", "poll", "epoll", "io_uring"), false},
		"mostly others":  {of("net", "select", "poll", "epoll", "io_uring", "sigio"), false},
		"the same again": {small, true},
		"another load":   {&result{Arms: small.Arms, Load: load{Kind: "slow"}}, false},
	} {
		if related(small, c.with) != c.want || related(c.with, small) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestAFindingIsClearOnlyIfTheRangesDoNotTouch(t *testing.T) {
	rounds := func(micros ...time.Duration) (fs []figures) {
		for _, m := range micros {
			fs = append(fs, figures{Requests: 1, Elapsed: 1, CPU: m * time.Microsecond})
		}
		return fs
	}
	scenario := func(name string, mine []figures) *result {
		return &result{Scenario: name, Arms: []string{"net", "io_uring"}, Rounds: map[string][]figures{"net": rounds(8, 10, 12), "io_uring": mine}}
	}
	got := compareArm([]*result{
		scenario("less", rounds(5, 5, 7)),
		scenario("touching", rounds(5, 6, 8)),
		scenario("more", rounds(13, 20, 30)),
	}, "io_uring", "net")
	want := "×0.50 to ×2.00 the CPU per request of net; in 1 of 3 scenarios clearly less, in 1 clearly more (more)."
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTheLargestFamilyIsFirstAndFilesAreLast(t *testing.T) {
	server := func(name string) *result { return &result{Scenario: name, Arms: []string{"net", "epoll"}} }
	model := &result{Scenario: "models", Arms: []string{"select", "poll"}}
	read := func(name string) *result {
		return &result{Scenario: name, Arms: []string{"ReadAt", "epoll"}, Load: load{Files: 1}}
	}
	got := ""
	for _, g := range families([]*result{read("r1"), model, server("s1"), read("r2"), read("r3"), server("s2")}) {
		got += scenarioNames(g) + "; "
	}
	if want := "s1, s2; models; r1, r2, r3; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
