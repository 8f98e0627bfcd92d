package main

import (
	"io/fs"
	"strconv"
	"strings"
)

// host is what can be read about the system. Tests have hosts of their own.
type host struct {
	files    fs.FS // from the root on
	env      func(string) string
	kernel   string // uname(2): release
	build    string // version
	machine  string
	procs    int // GOMAXPROCS
	root     bool
	memlock  limit // in bytes
	nofile   limit
	pageSize uint64
}

// limit is one of getrlimit(2).
type limit struct{ soft, hard uint64 }

const unlimited = ^uint64(0)

// read returns what a file has, without the space around it; "" if there is none.
func (h *host) read(name string) string {
	b, err := fs.ReadFile(h.files, strings.TrimPrefix(name, "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// has reports whether there is such a file.
func (h *host) has(name string) bool {
	_, err := fs.Stat(h.files, strings.TrimPrefix(name, "/"))
	return err == nil
}

// sysctl returns a setting, "" if the kernel hasn't it.
func (h *host) sysctl(name string) string {
	return h.read("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
}

// number is sysctl for numbers.
func (h *host) number(name string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(h.sysctl(name), 10, 64)
	return n, err == nil
}

// status returns a field of /proc/self/status (man 5 proc).
func (h *host) status(field string) string {
	for line := range strings.Lines(h.read("/proc/self/status")) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// cpuQuota returns how many CPUs' time the process may use: the least of its control
// groups (cgroups(7)), as far as they are visible; 0 is no limit.
func (h *host) cpuQuota() (least float64) {
	for line := range strings.Lines(h.read("/proc/self/cgroup")) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) < 3 {
			continue
		}
		mount, get := "/sys/fs/cgroup", h.quota
		if part[1] != "" {
			if !strings.Contains(","+part[1]+",", ",cpu,") {
				continue
			}
			mount, get = mount+"/"+part[1], h.quotaOld
		}
		for dir := strings.TrimSuffix(part[2], "/"); ; dir = dir[:strings.LastIndexByte(dir, '/')] {
			if q := get(mount + dir); q > 0 && (least == 0 || q < least) {
				least = q
			}
			if !strings.HasPrefix(dir, "/") {
				break
			}
		}
	}
	return least
}

// quota reads the limit of a group of version 2.
func (h *host) quota(dir string) float64 {
	most, period, _ := strings.Cut(h.read(dir+"/cpu.max"), " ")
	return ratio(most, period)
}

// quotaOld reads that of one of version 1.
func (h *host) quotaOld(dir string) float64 {
	return ratio(h.read(dir+"/cpu.cfs_quota_us"), h.read(dir+"/cpu.cfs_period_us"))
}

// ratio is 0 if either isn't a positive number: "max" and -1 are no limit.
func ratio(most, period string) float64 {
	m, err1 := strconv.ParseFloat(most, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || m <= 0 || p <= 0 {
		return 0
	}
	return m / p
}
