package proactor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A Cancel after Pipe must reach what is under way, also when the loop was quicker than
// Pipe.
func TestALateFirstTicketOfARelayIsNotTheLatest(t *testing.T) {
	var r Relay
	first := r.op.Nop().Claim()
	r.op.Yield()
	second := r.op.Nop().Claim()
	r.latest(&second)
	r.latest(&first)
	require.Equal(t, second, *r.ticket.Load())
}
