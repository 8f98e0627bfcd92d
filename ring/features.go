package ring

import (
	"fmt"
	"strings"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Info is what Probe has found.
type Info struct {
	// Entries and Completions are the sizes of the two queues: fewer than
	// Options.Entries asked for, and four times that, if RLIMIT_MEMLOCK demands it.
	Entries, Completions int
	// Features are what the engine uses of a ring as a whole, oldest first.
	Features []Feature
	// Operations are those that a ring of a new enough kernel executes itself.
	Operations []Feature
}

// Feature is something of which the engine makes use where the kernel has it.
type Feature struct {
	Name    string     // as man 2 io_uring_setup, or the operation's man page, has it
	Kernel  op.Version // the first Linux that has it
	Found   bool       // the ring of the probe has it
	Without string     // what the engine does without it, or what the lack costs
}

// String is the name, if the feature is there, else also what is done without it.
func (f Feature) String() string {
	if f.Found {
		return f.Name
	}
	return fmt.Sprintf("no %s (Linux %v): %s", f.Name, f.Kernel, f.Without)
}

// String is a line: the sizes of the queues, and the names of what is missing.
func (i Info) String() string {
	s := fmt.Sprintf("%d entries, %d completions", i.Entries, i.Completions)
	if missing := append(missing(i.Features), missing(i.Operations)...); len(missing) > 0 {
		return s + "; without " + strings.Join(missing, ", ")
	}
	return s + "; all features"
}

func missing(all []Feature) (names []string) {
	for _, f := range all {
		if !f.Found {
			names = append(names, f.Name)
		}
	}
	return names
}
