//go:build !linux

package op

import "syscall"

// Exit is how a child process ended: what Op.WaitID fills.
type Exit struct{}

// Pid returns the number that the process had.
func (x *Exit) Pid() int { return 0 }

// Status returns how the process ended.
func (x *Exit) Status() (s syscall.WaitStatus) { return s }
