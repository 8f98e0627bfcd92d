package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// What can forbid io_uring: a sysctl, a container's seccomp filter, a sandbox that is
// a kernel of its own.

// containers returns signs of what the program runs in, none if it is none.
func (h *host) containers() (signs []string) {
	add := func(sign string, seen bool) {
		if seen {
			signs = append(signs, sign)
		}
	}
	groups := h.read("/proc/self/cgroup")
	mounts, _, _ := strings.Cut(h.read("/proc/self/mountinfo"), "\n") // the root is the first
	in := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(groups, w) || strings.Contains(mounts, w) {
				return true
			}
		}
		return false
	}
	kind := h.env("container") // systemd's convention
	add(docker, h.has("/.dockerenv") || in("docker"))
	add(podman, h.has("/run/.containerenv") || kind == "podman" || in("libpod"))
	add(kubernetes, h.env("KUBERNETES_SERVICE_HOST") != "" || in("kubepods"))
	add("LXC", kind == "lxc" || in("/lxc"))
	add("systemd-nspawn", kind == "systemd-nspawn")
	add(gvisor, strings.Contains(h.kernel, "gvisor") || strings.Contains(h.build, "Sun Jan 10 15:06:54 PST 2016")) // what it says it is
	add("WSL", strings.Contains(strings.ToLower(h.kernel), "microsoft"))
	if len(signs) == 0 {
		add("a container", kind != "" || in("containerd", "crio"))
	}
	return signs
}

// Those for which there is advice.
const (
	docker     = "Docker"
	podman     = "Podman"
	kubernetes = "Kubernetes"
	gvisor     = "gVisor"
)

func (h *host) checkContainer(where []string) check {
	c := check{Name: "container", Value: "no sign of one", Level: ok}
	if len(where) > 0 {
		c.Value = "signs of " + strings.Join(where, ", ")
	}
	return c
}

const disabled = "kernel.io_uring_disabled"

func (h *host) checkDisabled(f *finding) check {
	c := check{Name: disabled, Level: ok}
	switch v := h.sysctl(disabled); v {
	case "":
		c.Value = "no such setting (it came with Linux 6.6)"
		return c
	case "0":
		c.Value = "0, everybody may use io_uring"
		return c
	case "1":
		c.Value = "1, only CAP_SYS_ADMIN may use io_uring"
		if g := h.sysctl("kernel.io_uring_group"); g != "" && g != "-1" {
			c.Value += ", and group " + g
		}
		c.Advice = "sysctl kernel.io_uring_group=GID of a group that the program has, or "
	default:
		c.Value = v + ", nobody may use io_uring"
	}
	c.Advice += "sysctl kernel.io_uring_disabled=0, and the same line in a file of /etc/sysctl.d; for a container, on its host"
	c.Level = note
	if f.failed() {
		c.Level = bad
	}
	return c
}

// failed reports whether io_uring was tried and doesn't work.
func (f *finding) failed() bool { return f.Tried && f.Err != "" }

func (h *host) checkSeccomp(f *finding, where []string) check {
	c := check{Name: "seccomp", Level: ok}
	filtered := false
	switch v := h.status("Seccomp"); v {
	case "", "0":
		c.Value = "no filter"
	case "2":
		filtered = true
		c.Value = "a filter"
		if n := h.status("Seccomp_filters"); n != "" && n != "1" {
			c.Value = n + " filters"
		}
	default:
		c.Value = "mode " + v
	}
	if !f.failed() {
		if filtered && f.Tried {
			c.Value += ", which allows io_uring"
		}
		return c
	}
	off := h.sysctl(disabled) == "1" || h.sysctl(disabled) == "2"
	switch {
	case slices.Contains(where, gvisor):
		c.Level, c.Advice = bad, "gVisor is a kernel of its own, and io_uring in it experimental (runsc --iouring): another runtime, or epoll"
	case f.Died:
		c.Level, c.Advice = bad, "PROACTOR_ENGINE=epoll keeps programs from trying io_uring, which is fatal here; to allow it: "+allowIn(where)
	case filtered && f.refused() && !off:
		c.Value += fmt.Sprintf(", and io_uring is refused (%v)", f.Errno)
		c.Level, c.Advice = bad, allowIn(where)
	case f.refused() && !off && f.Errno == syscall.ENOSYS:
		c.Level, c.Advice = bad, "nothing filters: this kernel has no io_uring (CONFIG_IO_URING, Linux 5.1)"
	case f.refused() && !off:
		c.Level, c.Advice = bad, "nothing filters: a security module (SELinux, AppArmor) may forbid it; its log is in dmesg or the audit log"
	}
	return c
}

// refused reports whether the answer is one of those that filters give.
func (f *finding) refused() bool {
	switch f.Errno {
	case syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.EINVAL:
		return true
	}
	return false
}

// allowIn says how a container is allowed to use io_uring.
func allowIn(where []string) string {
	var all []string
	if slices.Contains(where, docker) {
		all = append(all, "with Docker's default profile (seccomp/default.json of github.com/moby/profiles):\ndoctor -seccomp default.json >profile.json\ndocker run --security-opt seccomp=profile.json ...")
	}
	if slices.Contains(where, podman) {
		all = append(all, "on the host:\ndoctor -seccomp /usr/share/containers/seccomp.json >profile.json\npodman run --security-opt seccomp=profile.json ...")
	}
	if slices.Contains(where, kubernetes) {
		all = append(all, "on each node, a profile with the rule of doctor -seccomp as /var/lib/kubelet/seccomp/io_uring.json, and in the pod's securityContext\nseccompProfile: {type: Localhost, localhostProfile: io_uring.json}")
	}
	if len(all) == 0 {
		all = append(all, "the rule of doctor -seccomp in the container's profile; in a unit of systemd, SystemCallFilter=@aio")
	}
	return strings.Join(all, "\n")
}
