package main

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
)

// buildPeers builds the programs of bench/peers into a directory.
func buildPeers(dir string) error {
	root, err := lab.Root()
	if err != nil {
		return fmt.Errorf("-peers works in a checkout of the repository: %w", err)
	}
	from := filepath.Join(root, "bench", "peers")
	builds := [][]string{
		{"go", "build", "-C", from, "-ldflags=-checklinkname=0", "-o", filepath.Join(dir, "peers"), "."},
		{"cc", "-O2", "-o", filepath.Join(dir, "c-epoll"), filepath.Join(from, "c", "epoll.c")},
		{"cc", "-O2", "-o", filepath.Join(dir, "c-io_uring"), filepath.Join(from, "c", "io_uring.c")},
	}
	for _, b := range builds {
		if out, err := exec.Command(b[0], b[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", b[0], err, out)
		}
	}
	return nil
}
