package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// figures are what a reader measured. The names are those of bench's JSON, which
// bench can't share because it is a command.
type figures struct {
	Requests int
	Elapsed  time.Duration
	CPU      time.Duration
	P50      time.Duration
	P99      time.Duration
	P999     time.Duration
}

// readers read a file's blocks of 4 KiB at random with a depth, with O_DIRECT or
// not, for a quarter of the time to warm up and then for the time.
var readers = map[string]func(name string, depth int, direct bool, d time.Duration) (figures, error){
	"posix-aio": readPosixAIO,
}

// read is one reader: it prints its figures as JSON.
func read(reader string, args []string) error {
	do := readers[reader]
	if do == nil {
		return fmt.Errorf("no reader %q", reader)
	}
	if len(args) != 4 {
		return errors.New("-read READER FILE DEPTH DIRECT TIME")
	}
	depth, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	f, err := do(args[0], depth, args[2] == "true", d)
	if err != nil {
		return fmt.Errorf("read with %s: %w", reader, err)
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}
