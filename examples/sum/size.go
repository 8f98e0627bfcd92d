package main

import (
	"fmt"
	"strconv"
)

// size is a number of bytes, as a flag: 4096, 128K, 1M.
type size int

// units are the powers of 1024, largest first.
var units = []struct {
	name  string
	shift int
}{{"G", 30}, {"M", 20}, {"K", 10}, {"", 0}}

func (s *size) String() string {
	for _, u := range units {
		if n := int(*s) >> u.shift; n > 0 && n<<u.shift == int(*s) {
			return strconv.Itoa(n) + u.name
		}
	}
	return "0"
}

func (s *size) Set(text string) error {
	for _, u := range units {
		digits := len(text) - len(u.name)
		if digits < 0 || text[digits:] != u.name {
			continue
		}
		n, err := strconv.ParseUint(text[:digits], 10, 31-u.shift)
		if err != nil {
			return fmt.Errorf("no size: %q", text)
		}
		*s = size(n << u.shift)
		return nil
	}
	return nil
}
