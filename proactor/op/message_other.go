//go:build !linux

package op

type kernelMessage struct{}

// Received does nothing: nothing is received.
func (m *Message) Received(int32) {}
