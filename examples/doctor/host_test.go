package main

import (
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/ring"
	"github.com/stretchr/testify/require"
)

// files makes a host of files and their contents, which is well otherwise.
func files(contents ...string) *host {
	m := fstest.MapFS{}
	for i := 0; i < len(contents); i += 2 {
		m[contents[i][1:]] = &fstest.MapFile{Data: []byte(contents[i+1] + "\n")}
	}
	return &host{
		files: m, env: func(string) string { return "" }, procs: 8, pageSize: 4096,
		memlock: limit{8 << 20, 8 << 20}, nofile: limit{1 << 20, 1 << 20},
	}
}

var (
	fine    = &finding{Tried: true, Info: ring.Info{Entries: entries}}
	refused = &finding{Tried: true, Err: "no", Errno: syscall.EPERM}
	lacking = &finding{Tried: true, Err: "no", Errno: syscall.ENOSYS}
)

func TestContainersAreKnownByTheirSigns(t *testing.T) {
	for _, tt := range []struct {
		host *host
		want []string
	}{
		{files(), nil},
		{files("/.dockerenv", ""), []string{docker}},
		{files("/run/.containerenv", ""), []string{podman}},
		{files("/proc/self/cgroup", "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope"), []string{kubernetes}},
		{files("/proc/self/cgroup", "12:cpu:/docker/0123"), []string{docker}},
		{files("/proc/self/mountinfo", "1 0 0:1 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A"), []string{docker}},
		{files("/proc/self/mountinfo", "1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:1 / /var/lib/docker rw - overlay overlay rw"), nil},
		{files("/proc/self/cgroup", "0::/system.slice/containerd.service"), []string{"a container"}},
	} {
		require.Equal(t, tt.want, tt.host.containers())
	}
	sandbox := files()
	sandbox.build = "#1 SMP Sun Jan 10 15:06:54 PST 2016"
	require.Equal(t, []string{gvisor}, sandbox.containers())
	require.Contains(t, sandbox.checkSeccomp(lacking, sandbox.containers()).Advice, "runsc")
	pod := files()
	pod.env = func(name string) string { return map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}[name] }
	require.Equal(t, []string{kubernetes}, pod.containers())
	require.Contains(t, pod.checkSeccomp(refused, pod.containers()).Advice+allowIn([]string{kubernetes}), "localhostProfile")
}

func TestTheSysctlIsJudgedByWhatItComesTo(t *testing.T) {
	const file = "/proc/sys/kernel/io_uring_disabled"
	for _, tt := range []struct {
		host  *host
		f     *finding
		level level
		value string
	}{
		{files(), refused, ok, "no such setting"},
		{files(file, "0"), refused, ok, "0, everybody"},
		{files(file, "1", "/proc/sys/kernel/io_uring_group", "-1"), fine, note, "1, only CAP_SYS_ADMIN may use io_uring"},
		{files(file, "1", "/proc/sys/kernel/io_uring_group", "100"), refused, bad, "and group 100"},
		{files(file, "2"), refused, bad, "2, nobody"},
	} {
		c := tt.host.checkDisabled(tt.f)
		require.Equal(t, tt.level, c.Level, "%v", c)
		require.Contains(t, c.Value, tt.value)
		require.Equal(t, tt.level == ok, c.Advice == "", "%v", c)
	}
	// It explains the refusal: the filter doesn't have to.
	off := files(file, "2", "/proc/self/status", "Seccomp:\t2\nSeccomp_filters:\t1")
	require.Equal(t, ok, off.checkSeccomp(refused, nil).Level)
}

func TestFiltersAreJudgedByWhatTheyAnswer(t *testing.T) {
	filter := files("/proc/self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t3")
	open := files("/proc/self/status", "Seccomp:\t0\nSeccomp_filters:\t0")
	for _, tt := range []struct {
		host   *host
		f      *finding
		level  level
		value  string
		advice string
	}{
		{filter, fine, ok, "3 filters, which allows io_uring", ""},
		{filter, &finding{}, ok, "3 filters", ""},
		{filter, refused, bad, "3 filters, and io_uring is refused (operation not permitted)", "SystemCallFilter=@aio"},
		{filter, &finding{Tried: true, Err: "no memory", Errno: syscall.ENOMEM}, ok, "3 filters", ""},
		{open, refused, bad, "no filter", "security module"},
		{open, lacking, bad, "no filter", "CONFIG_IO_URING"},
		{open, &finding{Tried: true, Died: true, Err: "killed"}, bad, "no filter", "PROACTOR_ENGINE=epoll"},
	} {
		c := tt.host.checkSeccomp(tt.f, nil)
		require.Equal(t, tt.level, c.Level, "%v", c)
		require.Equal(t, tt.value, c.Value)
		require.Contains(t, c.Advice, tt.advice)
	}
}

func TestLockedMemoryIsJudgedByTheRing(t *testing.T) {
	few := &finding{Tried: true, Info: ring.Info{Entries: 256}}
	unregistered := &finding{Tried: true, Info: ring.Info{Entries: entries, Features: []ring.Feature{
		{Name: "COOP_TASKRUN", Found: true}, {Name: "registered memory", Kernel: op.Version{Major: 5, Minor: 19}},
	}}}
	old := &finding{Tried: true, Info: ring.Info{Entries: entries, Features: []ring.Feature{{Name: "COOP_TASKRUN"}, {Name: "registered memory"}}}}
	none := &finding{Tried: true, Err: "cannot allocate memory (RLIMIT_MEMLOCK is 4 KiB)"}
	h := files()
	for f, want := range map[*finding]level{fine: ok, few: note, unregistered: note, old: ok, none: bad, refused: ok, {}: ok} {
		c := h.checkMemlock(f, nil)
		require.Equal(t, want, c.Level, "%v", c)
		require.Contains(t, c.Value, "8 MiB")
		require.Equal(t, want == ok, c.Advice == "")
	}
	require.Contains(t, h.checkMemlock(few, []string{docker}).Advice, "--ulimit memlock")
}

func TestLimitsOfFilesAndConnections(t *testing.T) {
	h := files("/proc/sys/net/core/somaxconn", "128", "/proc/sys/fs/file-max", "1000000", "/proc/sys/fs/file-nr", "900000\t0\t1000000", "/proc/sys/fs/nr_open", "1048576")
	require.Equal(t, note, h.checkSomaxconn(nil).Level)
	require.Equal(t, bad, h.checkFiles().Level)
	require.Equal(t, "1000000 (900000 open), 1048576", h.checkFiles().Value)
	require.Equal(t, ok, files("/proc/sys/net/core/somaxconn", "4096").checkSomaxconn(nil).Level)
	require.Equal(t, "unknown", files().checkSomaxconn(nil).Value)
	require.Equal(t, "unknown", files().checkFiles().Value)
	for n, want := range map[uint64]level{64: bad, 1024: note, 1 << 20: ok, unlimited: ok} {
		h.nofile = limit{n, n}
		require.Equal(t, want, h.checkNofile(nil).Level, n)
	}
	h.nofile = limit{64, 4096}
	require.Equal(t, "64 (hard 4096)", h.checkNofile(nil).Value)
}

func TestRequestsForODirectAreSharedByAll(t *testing.T) {
	h := files("/proc/sys/fs/aio-max-nr", "65536", "/proc/sys/fs/aio-nr", "65400")
	h.procs = 1
	require.Equal(t, check{Name: "fs.aio-max-nr", Value: "65536 (65400 taken)", Level: ok}, h.checkAIO("io_uring"))
	require.Equal(t, note, h.checkAIO("epoll").Level)
	require.Contains(t, h.checkAIO("epoll").Advice, "sysctl fs.aio-max-nr")
	h = files("/proc/sys/fs/aio-max-nr", "65536", "/proc/sys/fs/aio-nr", "65280")
	h.procs = 1
	require.Equal(t, ok, h.checkAIO("epoll").Level)
	require.Equal(t, "unknown", files().checkAIO("epoll").Value)
}

func TestLimitsOfPipes(t *testing.T) {
	h := files("/proc/sys/fs/pipe-user-pages-soft", "16384", "/proc/sys/fs/pipe-max-size", "1048576")
	require.Equal(t, check{Name: "fs.pipe-user-pages-soft", Value: "16384: 64 MiB for each user, 256 relays", Level: ok}, h.checkPipes())
	h = files("/proc/sys/fs/pipe-user-pages-soft", "1024", "/proc/sys/fs/pipe-max-size", "1048576")
	require.Equal(t, note, h.checkPipes().Level)
	h.root = true
	require.Equal(t, ok, h.checkPipes().Level)
	h = files("/proc/sys/fs/pipe-user-pages-soft", "0", "/proc/sys/fs/pipe-max-size", "65536")
	require.Contains(t, h.checkPipes().Value, "without limit; fs.pipe-max-size 64 KiB")
	require.Equal(t, note, h.checkPipes().Level)
}

func TestTheLeastQuotaOfTheControlGroupsCounts(t *testing.T) {
	for _, tt := range []struct {
		host *host
		want float64
	}{
		{files(), 0},
		{files("/proc/self/cgroup", "0::/", "/sys/fs/cgroup/cpu.max", "max 100000"), 0},
		{files("/proc/self/cgroup", "0::/", "/sys/fs/cgroup/cpu.max", "150000 100000"), 1.5},
		{files("/proc/self/cgroup", "0::/a/b", "/sys/fs/cgroup/a/b/cpu.max", "max 100000", "/sys/fs/cgroup/a/cpu.max", "400000 100000"), 4},
		{files("/proc/self/cgroup", "0::/a/b", "/sys/fs/cgroup/a/b/cpu.max", "50000 100000", "/sys/fs/cgroup/a/cpu.max", "400000 100000"), 0.5},
		{files("/proc/self/cgroup", "4:memory:/a\n3:cpu,cpuacct:/a\n0::/", "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "200000", "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000"), 2},
		{files("/proc/self/cgroup", "3:cpu:/a", "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1", "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000"), 0},
	} {
		require.Equal(t, tt.want, tt.host.cpuQuota())
	}
	h := files("/proc/self/cgroup", "0::/", "/sys/fs/cgroup/cpu.max", "150000 100000")
	c := h.checkCPU("epoll")
	require.Equal(t, note, c.Level)
	require.Equal(t, "1.5 CPUs; GOMAXPROCS 8", c.Value)
	h.procs = 2
	require.Equal(t, ok, h.checkCPU("io_uring").Level)
}

func TestWorkersOfEpollWantPlaces(t *testing.T) {
	h := files("/proc/self/cgroup", "0::/", "/sys/fs/cgroup/cpu.max", "100000 100000")
	for _, tt := range []struct {
		procs  int
		engine string
		places level
		quota  level
	}{
		{1, "epoll", note, ok}, {2, "epoll", note, ok}, {3, "epoll", ok, ok}, {4, "epoll", ok, note},
		{1, "io_uring", ok, ok}, {2, "io_uring", ok, ok}, {3, "io_uring", ok, note}, {1, "", ok, ok},
	} {
		h.procs = tt.procs
		c := h.checkPlaces(tt.engine)
		require.Equal(t, tt.places, c.Level, tt)
		require.Equal(t, tt.places == note, strings.Contains(c.Advice, "GOMAXPROCS=3"), tt)
		require.Equal(t, tt.quota, h.checkCPU(tt.engine).Level, "what one check advises the other accepts: %v", tt)
	}
}
