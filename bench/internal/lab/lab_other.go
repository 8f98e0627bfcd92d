//go:build !linux

package lab

import "errors"

// Kernel says that this is not Linux.
func Kernel() string { return "not Linux" }

// Network is unknown here.
func Network() string { return "" }

// Processor is unknown here.
func Processor() string { return "" }

// CPUs is unknown here.
func CPUs() int { return 0 }

// Dir is unknown here.
func Dir() string { return "" }

// Inside fails: there is no way to measure.
func Inside(func(string) error, func() error) error { return errors.ErrUnsupported }
