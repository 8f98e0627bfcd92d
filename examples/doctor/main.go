// Command doctor tells what package proactor finds on this system: the kernel, the
// engine and why it is chosen, each feature of io_uring that the engine uses and what
// is done without it, and the limits that a server meets, with what to do about them.
//
//	go run ./examples/doctor             # for people
//	go run ./examples/doctor -json       # for machines
//	go run ./examples/doctor -all        # each operation, also those that are as they should be
//
// In a container that forbids io_uring, as Docker's and Podman's default does, the
// container's seccomp profile needs one more rule. Doctor prints it, or adds it to a
// profile that it is given:
//
//	doctor -seccomp                                      # the rule
//	doctor -seccomp default.json >profile.json           # the profile with the rule
//	docker run --security-opt seccomp=profile.json ...
//
// In a container of Podman's, for example, it says
//
//	engine   epoll: no io_uring: io_uring: set-up: function not implemented (the kernel is older than
//	         5.1 or built without io_uring, or a container's seccomp filter hides it)
//	...
//	  bad   seccomp                     a filter, and io_uring is refused (function not implemented)
//	        -> on the host:
//	           doctor -seccomp /usr/share/containers/seccomp.json >profile.json
//	           podman run --security-opt seccomp=profile.json ...
//	  ok    container                   signs of Podman
//	  ok    RLIMIT_MEMLOCK              8 MiB
//
// It tries io_uring in a process of its own, because some sandboxes kill for the
// attempt; with PROACTOR_ENGINE=epoll, or -engine epoll, it doesn't try.
//
// The exit status is 0 if io_uring works, 1 if only epoll does, or io_uring was not
// tried, 2 if neither does or the command line is wrong.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// config is what the command line says.
type config struct {
	engine  string // "" leaves the choice to PROACTOR_ENGINE, or to what works
	json    bool
	all     bool
	seccomp bool
	profile string // to which -seccomp adds the rule
}

// The exit statuses.
const (
	works     = 0 // io_uring
	epollOnly = 1
	nothing   = 2
)

func main() {
	if os.Getenv(probeVar) != "" {
		answer(os.Stdout)
		return
	}
	c, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(nothing)
	}
	status, err := run(c, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(nothing)
	}
	os.Exit(status)
}

// parse reads the command line. It has said on errs what is wrong with it.
func parse(args []string, errs io.Writer) (*config, error) {
	c := new(config)
	f := flag.NewFlagSet("doctor", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&c.engine, "engine", "", "auto, io_uring or epoll (default $PROACTOR_ENGINE, else auto)")
	f.BoolVar(&c.json, "json", false, "print JSON")
	f.BoolVar(&c.all, "all", false, "show what is as it should be, too")
	f.BoolVar(&c.seccomp, "seccomp", false, "print the rule of a seccomp profile that allows io_uring, or the profile in the file `PROFILE` (- is standard input) with the rule in it")
	f.Usage = func() {
		fmt.Fprintln(errs, "usage: doctor [-engine auto|io_uring|epoll] [-all] [-json]\n       doctor -seccomp [PROFILE]")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	c.profile = f.Arg(0)
	if f.NArg() > 1 || f.NArg() == 1 && !c.seccomp || c.seccomp && (c.json || c.all) {
		f.Usage()
		return nil, errors.New("wrong arguments")
	}
	return c, nil
}

// run examines, prints, and returns the exit status.
func run(c *config, out io.Writer) (status int, err error) {
	if c.seccomp {
		return works, printRule(out, c.profile)
	}
	r := examine(cmp.Or(c.engine, os.Getenv(proactor.EngineVar)), c.engine)
	if c.json {
		err = r.writeJSON(out)
	} else {
		err = r.print(out, c.all)
	}
	return r.Status, err
}
