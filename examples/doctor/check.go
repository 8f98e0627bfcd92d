package main

import "fmt"

// check is one thing that was looked at.
type check struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Level  level  `json:"level"`
	Advice string `json:"advice,omitempty"`
}

// level says how good it is.
type level string

// The levels.
const (
	ok   level = "ok"
	note level = "note" // could be better
	bad  level = "bad"  // keeps io_uring from working, or a server from serving
)

// checks looks at everything, for programs that get an engine.
func (h *host) checks(f *finding, engine string) []check {
	where := h.containers()
	return []check{
		h.checkDisabled(f),
		h.checkContainer(where),
		h.checkSeccomp(f, where),
		h.checkMemlock(f, where),
		h.checkNofile(where),
		h.checkSomaxconn(where),
		h.checkFiles(),
		h.checkPipes(),
		h.checkAIO(engine),
		h.checkPlaces(engine),
		h.checkCPU(engine),
	}
}

// size writes a number of bytes.
func size(n uint64) string {
	switch {
	case n == unlimited:
		return "unlimited"
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func count(n uint64) string {
	if n == unlimited {
		return "unlimited"
	}
	return fmt.Sprint(n)
}
