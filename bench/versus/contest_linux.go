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
	return lab.Inside(build, func() error {
		for _, c := range contests {
			if len(s.names) > 0 && !slices.ContainsFunc(s.names, func(n string) bool { return strings.HasPrefix(c.name, n) }) {
				continue
			}
			if err := c.hold(s); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		return nil
	})
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
	for range s.rounds {
		for _, sv := range servers {
			f, err := c.measure(sv, s.time)
			if err != nil {
				return fmt.Errorf("%s: %w", sv.name, err)
			}
			r.Rounds[sv.name] = append(r.Rounds[sv.name], f)
		}
	}
	r.print(os.Stdout)
	return r.write(s.out)
}

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

// measure starts one server, loads it and ends it.
func (c contest) measure(sv server, t time.Duration) (f figures, err error) {
	at := place{Addr: address}
	if at.Dir, err = os.MkdirTemp("", "versus"); err != nil {
		return f, err
	}
	defer os.RemoveAll(at.Dir)
	if c.backend != nil {
		stop, err := c.backend()
		if err != nil {
			return f, err
		}
		defer stop()
	}
	cmd, err := sv.command(at)
	if err != nil {
		return f, err
	}
	said, err := os.Create(filepath.Join(at.Dir, "said"))
	if err != nil {
		return f, err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := await(func() error { return canListen(at.Addr) }); err != nil {
		return f, err
	}
	if err := lab.StartOn(cmd, lab.ServerCore); err != nil {
		return f, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	f, err = c.put(cmd.Process.Pid, at, ended, t)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
		err = errors.Join(err, errors.New("it didn't end"))
	}
	if err != nil {
		b, _ := os.ReadFile(said.Name())
		err = fmt.Errorf("%w\n%s", err, b)
	}
	return f, err
}

// put puts the load on a server that has been started.
func (c contest) put(pid int, at place, ended chan error, t time.Duration) (f figures, err error) {
	err = await(func() error {
		select {
		case err := <-ended:
			ended <- err
			return errEnded
		default:
			return canDial(at.Addr)
		}
	})
	if err != nil {
		return f, err
	}
	if _, err := c.load(at, t/4); err != nil { // warm
		return f, err
	}
	begun, before, busy := time.Now(), lab.TreeCPUTime(pid), lab.BusyTime(lab.LoadCore)
	f.work, err = c.load(at, t)
	f.CPU, f.Elapsed = lab.TreeCPUTime(pid)-before, time.Since(begun)
	f.LoadBusy = (lab.BusyTime(lab.LoadCore) - busy).Seconds() / f.Elapsed.Seconds()
	f.Memory = lab.Resident(pid)
	if err == nil && f.Units == 0 {
		err = errors.New("the load has done nothing")
	}
	return f, err
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
