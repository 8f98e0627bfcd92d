package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
)

// contest is one load, put on several servers.
type contest struct {
	name    string
	about   string
	unit    string   // what the load counts: "request", "MiB"
	servers []server // the first is the measure of the others

	// load works for about t and says what it has done. It runs on the load's core.
	load func(at place, t time.Duration) (work, error)

	// backend, if not nil, starts what the servers need behind them, on the load's core.
	backend func() (stop func(), err error)
}

// work is what a load has done.
type work struct {
	Units float64       // how many of the contest's
	P99   time.Duration // 0 if the load doesn't tell
}

// place is where a server works.
type place struct {
	Addr string // to listen on: host:port
	Dir  string // its own, empty at first, and removed afterwards
}

// server is how to start one.
type server struct {
	name    string
	command func(at place) (*exec.Cmd, error)
}

// contests are filled by the files of this package.
var contests []contest

// ours is an example of this repository.
func ours(example string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(lab.Dir(), example), args...)
}

// build builds the examples and the peers into a directory. Without the peers, whose
// modules may not be at hand, there is still something to compare.
func build(dir string) error {
	root, err := lab.Root()
	if err != nil {
		return err
	}
	if out, err := goBuild(root, dir+"/", "./examples/..."); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if out, err := goBuild(filepath.Join(root, "bench", "peers"), filepath.Join(dir, "peers"), "."); err != nil {
		fmt.Fprintf(os.Stderr, "without bench/peers: %v\n%s", err, out)
	}
	return nil
}

func goBuild(in, out, what string) ([]byte, error) {
	return exec.Command("go", "build", "-C", in, "-ldflags=-checklinkname=0", "-o", out, what).CombinedOutput()
}

// peer is the program of bench/peers.
func peer(args ...string) *exec.Cmd { return exec.Command(filepath.Join(lab.Dir(), "peers"), args...) }

func versus(s settings) error {
	if over, addr, ok := strings.Cut(os.Getenv(helloVar), " "); ok {
		return serveHello(over, addr)
	}
	meant, err := meantBy(s.names)
	if err != nil {
		return err
	}
	return lab.Inside(build, func() error {
		for _, c := range meant {
			if err := c.hold(s); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		return nil
	})
}

// meantBy returns the contests that the names on the command line mean, all if there are
// none: a name is a contest's, or what some begin with if there is none of that name.
func meantBy(names []string) (meant []contest, err error) {
	if len(names) == 0 {
		return contests, nil
	}
	for _, name := range names {
		n := len(meant)
		for _, c := range contests {
			if c.name == name {
				meant = append(meant[:n], c)
				break
			}
			if strings.HasPrefix(c.name, name) {
				meant = append(meant, c)
			}
		}
		if len(meant) == n {
			return nil, fmt.Errorf("no contest %q; there are %s", name, contestNames())
		}
	}
	return meant, nil
}

func contestNames() string {
	var names []string
	for _, c := range contests {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// hold measures all servers in rounds.
func (c contest) hold(s settings) error {
	fmt.Printf("%s: %s; %d rounds of %v; %s, %d CPUs, %s\n", c.name, c.about, s.rounds, s.time, lab.Kernel(), lab.CPUs(), lab.Network())
	r := newResult(c)
	var servers []server
	for i, sv := range c.servers {
		if i > 0 && s.servers != nil && !slices.Contains(s.servers, sv.name) {
			continue
		}
		if err := c.available(sv); err != nil {
			fmt.Printf("  without %s: %v\n", sv.name, err)
			continue
		}
		servers = append(servers, sv)
		r.Servers = append(r.Servers, sv.name)
	}
	measure := c.measure
	if s.alive {
		r.About += ", all servers alive"
		all, stop, err := c.startAll(servers)
		defer stop()
		if err != nil {
			return err
		}
		measure = func(sv server, t time.Duration) (figures, error) { return c.put(all[sv.name], t) }
	}
	for range s.rounds {
		for _, sv := range servers {
			f, err := measure(sv, s.time)
			if err != nil {
				return fmt.Errorf("%s: %w", sv.name, err)
			}
			r.Rounds[sv.name] = append(r.Rounds[sv.name], f)
		}
	}
	r.print(os.Stdout)
	return r.write(s.out)
}

// startAll starts all servers, each at an address of its own, and warms them up.
func (c contest) startAll(servers []server) (all map[string]*running, stop func(), err error) {
	all = map[string]*running{}
	stop = func() {
		for _, r := range all {
			_ = r.stop()
		}
	}
	if c.backend != nil {
		stopBackend, err := c.backend()
		if err != nil {
			return all, stop, err
		}
		stopServers := stop
		stop = func() { stopServers(); stopBackend() }
	}
	for i, sv := range servers {
		r, err := sv.start(fmt.Sprintf("127.0.0.1:%d", 7090+i))
		if err != nil {
			return all, stop, fmt.Errorf("%s: %w", sv.name, err)
		}
		all[sv.name] = r
		if _, err := c.load(r.at, warm); err != nil {
			return all, stop, fmt.Errorf("%s: %w", sv.name, r.explain(err))
		}
	}
	return all, stop, nil
}

// warm is how long servers that stay alive are loaded before they are measured.
const warm = time.Second

// available reports whether the server is installed.
func (c contest) available(sv server) error {
	dir, err := os.MkdirTemp("", "versus")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd, err := sv.command(place{Addr: address, Dir: dir})
	if err != nil {
		return err
	}
	return cmd.Err
}

// address is where each server listens: the network namespace is ours. Nobody gets that
// port as a client (lab.Inside), or a dial before the server is there would meet itself.
const address = "127.0.0.1:7080"

// patience is for a start and an end.
const patience = 20 * time.Second

// running is a server that has been started.
type running struct {
	at    place
	cmd   *exec.Cmd
	said  *os.File
	ended chan error
}

// start starts a server, and waits until it can be talked to.
func (sv server) start(addr string) (r *running, err error) {
	r = &running{at: place{Addr: addr}, ended: make(chan error, 1)}
	if r.at.Dir, err = os.MkdirTemp("", "versus"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(r.at.Dir)
		}
	}()
	if r.cmd, err = sv.command(r.at); err != nil {
		return nil, err
	}
	if r.said, err = os.Create(filepath.Join(r.at.Dir, "said")); err != nil {
		return nil, err
	}
	r.cmd.Stdout, r.cmd.Stderr = r.said, r.said
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err = await(func() error { return canListen(addr) }); err == nil {
		err = lab.StartOn(r.cmd, lab.ServerCore)
	}
	if err != nil {
		_ = r.said.Close()
		return nil, err
	}
	go func() { r.ended <- r.cmd.Wait() }()
	err = await(func() error {
		select {
		case err := <-r.ended:
			r.ended <- err
			return errEnded
		default:
			return canDial(addr)
		}
	})
	if err != nil {
		err = r.explain(err)
		_ = r.stop()
		return nil, err
	}
	return r, nil
}

// explain adds to an error what the server has said.
func (r *running) explain(err error) error {
	if err == nil {
		return nil
	}
	b, _ := os.ReadFile(r.said.Name())
	return fmt.Errorf("%w\n%s", err, b)
}

// stop ends a server, and removes what it has written.
func (r *running) stop() (err error) {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.ended
		err = errors.New("it didn't end")
	}
	err = r.explain(err)
	_ = r.said.Close()
	_ = os.RemoveAll(r.at.Dir)
	return err
}

// measure starts one server, warms it up, loads it and ends it.
func (c contest) measure(sv server, t time.Duration) (f figures, err error) {
	if c.backend != nil {
		stop, err := c.backend()
		if err != nil {
			return f, err
		}
		defer stop()
	}
	r, err := sv.start(address)
	if err != nil {
		return f, err
	}
	if _, err = c.load(r.at, t/4); err == nil {
		f, err = c.put(r, t)
	} else {
		err = r.explain(err)
	}
	return f, errors.Join(err, r.stop())
}

// put puts the load on a server.
func (c contest) put(r *running, t time.Duration) (f figures, err error) {
	pid := r.cmd.Process.Pid
	begun, before, busy := time.Now(), lab.TreeCPUTime(pid), lab.BusyTime(lab.LoadCore)
	f.work, err = c.load(r.at, t)
	f.CPU, f.Elapsed = lab.TreeCPUTime(pid)-before, time.Since(begun)
	f.LoadBusy = (lab.BusyTime(lab.LoadCore) - busy).Seconds() / f.Elapsed.Seconds()
	f.Memory = lab.Resident(pid)
	if err == nil && f.Units == 0 {
		err = errors.New("the load has done nothing")
	}
	return f, r.explain(err)
}

var errEnded = errors.New("it didn't start")

// await calls f again and again until it succeeds.
func await(f func() error) error {
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := f()
		if err == nil || err == errEnded || time.Since(begun) > patience {
			return err
		}
	}
}

// canListen tells whether the last server's listener is gone: that of a process with a
// ring can outlive it for some milliseconds.
func canListen(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

func canDial(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
