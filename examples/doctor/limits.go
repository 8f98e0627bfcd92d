package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (h *host) checkMemlock(f *finding, where []string) check {
	c := check{Name: "RLIMIT_MEMLOCK", Value: size(h.memlock.soft), Level: ok}
	raise := "ulimit -l, LimitMEMLOCK= of a systemd unit, or /etc/security/limits.conf; it counts for all rings of the user"
	if len(where) > 0 {
		raise = "docker run or podman run --ulimit memlock=-1:-1; for Kubernetes, LimitMEMLOCK= of the container runtime's unit"
	}
	switch {
	case !f.Tried || f.Err != "" && !strings.Contains(f.Err, c.Name):
	case f.Err != "":
		c.Level, c.Advice = bad, "too little for the smallest ring: "+raise
	case f.Info.Entries < entries:
		c.Level = note
		c.Value += fmt.Sprintf(": a queue of %d, %d were asked for", f.Info.Entries, entries)
		c.Advice = raise
	case lacks(f, "registered memory") && !lacks(f, "COOP_TASKRUN"):
		c.Level = note
		c.Value += ": Loop.Memory can't be registered"
		c.Advice = raise
	}
	return c
}

func lacks(f *finding, feature string) bool {
	for _, x := range f.Info.Features {
		if x.Name == feature {
			return !x.Found
		}
	}
	return false
}

// What a server of some size wants.
const (
	someFiles   = 1024
	manyFiles   = 16 << 10
	someBacklog = 1024
	relayPipe   = 256 << 10 // a relay's, see proactor.Pipe
)

func (h *host) checkNofile(where []string) check {
	c := check{Name: "RLIMIT_NOFILE", Value: count(h.nofile.soft), Level: ok}
	if h.nofile.hard != h.nofile.soft {
		c.Value += fmt.Sprintf(" (hard %s)", count(h.nofile.hard))
	}
	if h.nofile.soft >= manyFiles {
		return c
	}
	c.Level = note
	if h.nofile.soft < someFiles {
		c.Level = bad
	}
	c.Advice = "each connection takes a descriptor, a relay one or two more: ulimit -n, or LimitNOFILE= of a systemd unit"
	if len(where) > 0 {
		c.Advice = "each connection takes a descriptor: docker run or podman run --ulimit nofile=1048576:1048576"
	}
	return c
}

func (h *host) checkSomaxconn(where []string) check {
	c := check{Name: "net.core.somaxconn", Level: ok}
	n, found := h.number(c.Name)
	if !found {
		c.Value = "unknown"
		return c
	}
	c.Value = count(n)
	if n < someBacklog {
		c.Level = note
		c.Advice = "connections that wait to be accepted: more are dropped, and tried again after a second: sysctl net.core.somaxconn=4096"
		if len(where) > 0 {
			c.Advice += ", or docker run or podman run --sysctl net.core.somaxconn=4096"
		}
	}
	return c
}

func (h *host) checkFiles() check {
	c := check{Name: "fs.file-max, fs.nr_open", Level: ok}
	most, found := h.number("fs.file-max")
	if !found {
		c.Value = "unknown"
		return c
	}
	open := uint64(0)
	_, _ = fmt.Sscan(h.sysctl("fs.file-nr"), &open)
	highest, _ := h.number("fs.nr_open")
	c.Value = fmt.Sprintf("%s (%d open), %s", count(most), open, count(highest))
	switch {
	case open > most/5*4:
		c.Level, c.Advice = bad, "nearly all files of the system are open: sysctl fs.file-max"
	case most < manyFiles:
		c.Level, c.Advice = note, "all processes share it: sysctl fs.file-max"
	case highest < manyFiles:
		c.Level, c.Advice = note, "no RLIMIT_NOFILE can be higher than fs.nr_open: sysctl fs.nr_open"
	}
	return c
}

func (h *host) checkPipes() check {
	c := check{Name: "fs.pipe-user-pages-soft", Level: ok}
	pages, found := h.number(c.Name)
	largest, _ := h.number("fs.pipe-max-size")
	switch {
	case !found:
		c.Value = "unknown"
	case h.root:
		c.Value = fmt.Sprintf("%d, of no concern to root", pages)
	case pages == 0:
		c.Value = "0, without limit"
	default:
		full := pages * h.pageSize / relayPipe
		c.Value = fmt.Sprintf("%d: %s for each user, %d relays", pages, size(pages*h.pageSize), full)
		if full < 256 {
			c.Level = note
			c.Advice = "beyond it the pipes of relays (Pipe) have one or two pages, and cost more CPU: sysctl fs.pipe-user-pages-soft"
		}
	}
	if found && largest < relayPipe && !h.root {
		c.Level = note
		c.Value += fmt.Sprintf("; fs.pipe-max-size %s", size(largest))
		c.Advice = "a relay wants a pipe of 256 KiB: sysctl fs.pipe-max-size=1048576"
	}
	return c
}

// aioRequests is what the epoll engine of a loop takes of fs.aio-max-nr once it reads or
// writes with O_DIRECT.
const aioRequests = 256

func (h *host) checkAIO(engine string) check {
	c := check{Name: "fs.aio-max-nr", Level: ok}
	most, found := h.number(c.Name)
	if !found {
		c.Value = "unknown"
		return c
	}
	taken, _ := h.number("fs.aio-nr")
	c.Value = fmt.Sprintf("%s (%d taken)", count(most), taken)
	if engine == "epoll" && taken+uint64(h.procs)*aioRequests > most {
		c.Level = note
		c.Advice = fmt.Sprintf("all processes share it, and a loop on epoll takes %d for O_DIRECT, or else a worker for each read and write: sysctl fs.aio-max-nr", aioRequests)
	}
	return c
}

// places is what a program wants that works with files on epoll: one for the loop, one
// for a worker, one that is free (proactor.WithWorkers).
const places = 3

func (h *host) checkPlaces(engine string) check {
	c := check{Name: "GOMAXPROCS", Value: strconv.Itoa(h.procs), Level: ok}
	if engine == "epoll" && h.procs < places {
		c.Level = note
		c.Advice = "on epoll, workers read and write files, and Go takes the loop's or a worker's place away in the middle of a system call if none is free: for a program that does so, GOMAXPROCS=3"
	}
	return c
}

func (h *host) checkCPU(engine string) check {
	c := check{Name: "CPU quota", Value: fmt.Sprintf("none; GOMAXPROCS %d", h.procs), Level: ok}
	quota := h.cpuQuota()
	if quota == 0 {
		return c
	}
	c.Value = fmt.Sprintf("%.4g CPUs; GOMAXPROCS %d", quota, h.procs)
	least := 2.0 // Go itself takes so many, and rounds up
	if engine == "epoll" {
		least = places
	}
	if float64(h.procs) > max(quota+1, least) {
		c.Level = note
		c.Advice = "with more loops than that, all of them are stopped for the rest of each period when it is used up: leave GOMAXPROCS unset, as Go then follows the quota, or start fewer loops (GroupOptions.Loops)"
	}
	return c
}

// sorted has what is bad first.
func sorted(all []check) []check {
	order := map[level]int{bad: 0, note: 1, ok: 2}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b check) int { return order[a.Level] - order[b.Level] })
	return all
}
