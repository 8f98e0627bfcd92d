//go:build !linux

package op

// CloseFD does nothing: without an engine there are no descriptors.
func CloseFD(int) {}
