package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// notes are the texts beside the figures. Each of the files may be missing.
type notes struct {
	Claims []claim // claims.txt, which bench writes
	About  string  // about.txt, which people write
}

// claim is a sentence, whether the figures bear it out, and which.
type claim struct {
	Text, Verdict string
	Findings      []claim
}

func readNotes(dir string) (n notes, err error) {
	claims, err := readText(filepath.Join(dir, "claims.txt"))
	if err != nil {
		return n, err
	}
	n.Claims = parseClaims(claims)
	n.About, err = readText(filepath.Join(dir, "about.txt"))
	return n, err
}

// readText returns a file's text fit for the page, or none if there is no file.
func readText(name string) (string, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimRight(string(b), "\r\n"), "\n")
	for i, l := range lines {
		lines[i] = clean(strings.ReplaceAll(strings.TrimSuffix(l, "\r"), "\t", "    "))
	}
	return strings.Join(lines, "\n"), nil
}

// parseClaims reads lines of "claim: verdict", and indented below each those of its
// findings. A line without a verdict is shown as it is.
func parseClaims(text string) (all []claim) {
	for line := range strings.Lines(text) {
		c := claim{Text: strings.TrimSpace(line)}
		if c.Text == "" {
			continue
		}
		if i := strings.LastIndex(c.Text, ": "); i >= 0 {
			c.Text, c.Verdict = c.Text[:i], c.Text[i+2:]
		}
		if indented := line[0] == ' '; indented && len(all) > 0 {
			last := &all[len(all)-1]
			last.Findings = append(last.Findings, c)
		} else {
			all = append(all, c)
		}
	}
	return all
}
