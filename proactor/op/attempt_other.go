//go:build !linux

package op

// CloseFD does nothing: without an engine there are no descriptors.
func CloseFD(int) {}

// Disconnect does nothing.
func Disconnect(int) {}

// Close does nothing: there are no pipes.
func (p *Pipe) Close() {}

const largeFile = 0
