package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// made makes up a scenario's result from the CPU time in us of each arm's requests.
func made(cpu map[string]int) *result {
	r := &result{Rounds: map[string][]figures{}}
	for arm, n := range cpu {
		r.Rounds[arm] = []figures{{Requests: 1, CPU: time.Duration(n) * time.Microsecond}}
	}
	return r
}

// waited is made for the scenario of slow handlers, with the 99th percentile.
func waited(p99 map[string]int) *result {
	r := &result{Rounds: map[string][]figures{}}
	for arm, n := range p99 {
		r.Rounds[arm] = []figures{{Requests: 1, P99: time.Duration(n) * time.Microsecond}}
	}
	return r
}

func TestClaimsAreAnsweredFromTheFigures(t *testing.T) {
	type us = map[string]int
	blocks, workers := "A slow handler blocks a reactor and a proactor alike: ", "Workers keep a slow handler from the other requests: "
	tests := []struct {
		name string
		rs   results
		want []string
	}{
		{"multiplexing is no better", results{"models-64": made(us{"threads": 100, "reactor": 95})}, []string{
			"With few connections multiplexing is no better than a blocking thread for each: holds",
			"  models-64: reactor 95.00, threads 100.00 us of CPU per request, ratio 0.95: yes"}},
		{"multiplexing is better with more", results{"models-1": made(us{"threads": 100, "reactor": 100}), "models-64": made(us{"threads": 100, "reactor": 50})}, []string{
			"With few connections multiplexing is no better than a blocking thread for each: holds in part",
			"  models-1: reactor 100.00, threads 100.00 us of CPU per request, ratio 1.00, rounds overlap: yes",
			"  models-64: reactor 50.00, threads 100.00 us of CPU per request, ratio 0.50: no"}},
		{"edges are no cheaper", results{"models-64": made(us{"reactor-edge": 96, "reactor": 100})}, []string{
			"Edge-triggered is cheaper than level-triggered: does not hold here",
			"  models-64: reactor-edge 96.00, reactor 100.00 us of CPU per request, ratio 0.96: no"}},
		{"edges are cheaper", results{"models-64": made(us{"reactor-edge": 80, "reactor": 100})}, []string{
			"Edge-triggered is cheaper than level-triggered: holds",
			"  models-64: reactor-edge 80.00, reactor 100.00 us of CPU per request, ratio 0.80: yes"}},
		{"busy without idle", results{"idle-0": made(us{"select": 50, "poll": 50, "reactor": 100})}, nil},
		{"select and poll", results{"idle-0": made(us{"select": 50, "poll": 95, "reactor": 100}), "idle-900": made(us{"poll": 300, "reactor": 100})}, []string{
			"select and poll win while all connections are busy, and lose when most are idle: holds in part",
			"  idle-0: select 50.00, reactor 100.00 us of CPU per request, ratio 0.50: yes",
			"  idle-0: poll 95.00, reactor 100.00 us of CPU per request, ratio 0.95: no",
			"  idle-900: poll 300.00, reactor 100.00 us of CPU per request, ratio 3.00: yes"}},
		{"files", results{"cached-32": made(us{"posix-aio": 40, "ReadAt": 10, "io_uring": 5})}, []string{
			"POSIX aio is slow: holds",
			"  cached-32: posix-aio 40.00, ReadAt 10.00 us of CPU per request, ratio 4.00: yes",
			"  cached-32: posix-aio 40.00, io_uring 5.00 us of CPU per request, ratio 8.00: yes",
			"Asynchronous I/O brings little over multiplexing, and over reads in threads: does not hold here",
			"  cached-32: io_uring 5.00, ReadAt 10.00 us of CPU per request, ratio 0.50: no"}},
		{"small", results{"small": made(us{"io_uring": 95, "reactor": 100})}, []string{
			"Asynchronous I/O brings little over multiplexing, and over reads in threads: holds",
			"  small: io_uring 95.00, reactor 100.00 us of CPU per request, ratio 0.95: yes"}},
		{"blocked alike", results{"slow": waited(us{"reactor": 4000, "io_uring": 3000, "io_uring-workers": 500})}, []string{
			blocks + "holds",
			"  slow: io_uring 3000.00, reactor 4000.00 us until 99 % of the fast requests are answered, ratio 0.75: yes",
			workers + "holds",
			"  slow: io_uring-workers 500.00, io_uring 3000.00 us until 99 % of the fast requests are answered, ratio 0.17: yes"}},
		{"one blocked more, workers no help", results{"slow": waited(us{"reactor": 2000, "epoll": 5000, "epoll-workers": 5000})}, []string{
			blocks + "does not hold here",
			"  slow: epoll 5000.00, reactor 2000.00 us until 99 % of the fast requests are answered, ratio 2.50: no",
			workers + "does not hold here",
			"  slow: epoll-workers 5000.00, epoll 5000.00 us until 99 % of the fast requests are answered, ratio 1.00, rounds overlap: no"}},
		{"nobody blocked", results{"slow": waited(us{"reactor": 300, "epoll": 300})}, []string{
			blocks + "does not hold here",
			"  slow: epoll 300.00, reactor 300.00 us until 99 % of the fast requests are answered, ratio 1.00, rounds overlap: no"}},
		{"rounds overlap", results{"models-64": {Rounds: map[string][]figures{
			"reactor-edge": {{Requests: 1, CPU: 5000}, {Requests: 1, CPU: 5000}, {Requests: 1, CPU: 10000}},
			"reactor":      {{Requests: 1, CPU: 9000}, {Requests: 1, CPU: 10000}, {Requests: 1, CPU: 10000}},
		}}}, []string{
			"Edge-triggered is cheaper than level-triggered: does not hold here",
			"  models-64: reactor-edge 5.00, reactor 10.00 us of CPU per request, ratio 0.50, rounds overlap: no"}},
		{"another scenario", results{"churn": made(us{"reactor": 1, "io_uring": 1, "threads": 1})}, nil},
		{"a scenario without arms", results{"models-64": {}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, strings.Join(tt.want, "\n"), strings.TrimSuffix(tt.rs.claims(), "\n"))
		})
	}
}

func TestClaimsAreWrittenBesideTheFigures(t *testing.T) {
	dir := t.TempDir()
	rs := results{"small": made(map[string]int{"io_uring": 50, "reactor": 100})}
	require.NoError(t, rs.publish(dir))
	b, err := os.ReadFile(filepath.Join(dir, "claims.txt"))
	require.NoError(t, err)
	require.Equal(t, rs.claims(), string(b))
	require.NotEmpty(t, b)
}

// A claim about an arm or a scenario that has another name now would be silent.
func TestClaimsNameScenariosAndArmsThatExist(t *testing.T) {
	rs := results{}
	for _, sc := range scenarios {
		r := &result{Rounds: map[string][]figures{}}
		for _, a := range append(sc.arms, sc.more...) {
			r.Rounds[a] = []figures{{Requests: 1, CPU: time.Second, P99: time.Second}}
		}
		rs[sc.name] = r
	}
	for _, c := range claims {
		require.NotEmpty(t, c.ask(rs), c.text)
	}
	require.Len(t, claims[0].ask(rs), 2)
	require.Len(t, claims[1].ask(rs), 4)
}

func TestTheReactorIsTheMeasureWhereThereIsOne(t *testing.T) {
	require.Equal(t, "reactor", (&result{Arms: []string{"net", "reactor", "epoll"}}).base())
	require.Equal(t, "ReadAt", (&result{Arms: []string{"ReadAt", "io_uring"}}).base())
}
