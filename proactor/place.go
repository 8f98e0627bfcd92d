package proactor

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// place is what a closure verb does with which file, for its errors. The zero place
// leaves them as they are.
type place struct {
	verb, name string
	to         string // the other name
	two        bool   // there is another name
}

func (f *File) at(verb string) place { return place{verb: verb, name: f.name} }

// explain returns err as package os would.
func (p place) explain(err error) error {
	if err == nil || err == io.EOF || p.verb == "" {
		return err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err // os says the verb and not the system call
	}
	if p.two {
		return &os.LinkError{Op: p.verb, Old: p.name, New: p.to, Err: err}
	}
	return &fs.PathError{Op: p.verb, Path: p.name, Err: err}
}
