//go:build !linux

package op

type kernelMessage struct{}

const solSocket = 1

// Received does nothing: nothing is received.
func (m *Message) Received(int32) {}
