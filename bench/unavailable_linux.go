package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// unavailable returns why an arm can't be measured here: there is none of that name,
// or the system lacks, or refuses, what it is made of. An arm that could be measured
// and fails is another matter.
func unavailable(arm string, l load) error {
	if !exists(arm, l) {
		return errNoArm
	}
	if strings.HasPrefix(arm, "fio") {
		if _, err := exec.LookPath("fio"); err != nil {
			return err
		}
	}
	switch {
	case strings.HasPrefix(arm, "aio"):
		return probeAIO()
	case strings.HasPrefix(arm, "io_uring"), strings.HasPrefix(arm, "c-io_uring"), strings.HasPrefix(arm, "fio"), strings.HasPrefix(arm, "gain"):
		return probeRing()
	}
	return nil
}

func exists(arm string, l load) bool {
	own, others := arms[l.Kind][arm] != nil, churners
	if l.Files > 0 {
		own, others = slices.Contains(readers, arm), files
	} else if l.Kind != echoes {
		others = nil
	}
	if own || strings.HasPrefix(arm, "fio") && l.Files > 0 {
		return true
	}
	return lab.Dir() != "" && slices.Contains(others, arm)
}

func probeAIO() error {
	a, err := newAIO(1)
	if err != nil {
		return fmt.Errorf("no Linux AIO: %w", err)
	}
	a.close()
	return nil
}

func probeRing() error {
	loop, err := proactor.New(proactor.WithEngineName("io_uring"))
	if err != nil {
		return fmt.Errorf("no io_uring: %w", err)
	}
	return loop.Close()
}
