package proactor

import (
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Cred is who is at the other end of a unix socket: the process and its effective
// user and group when the connection was made.
type Cred struct {
	PID int
	UID uint32
	GID uint32
}

// CloseRead ends the receiving side (shutdown(2)), behind the sends submitted
// before: receives then get what has come and io.EOF, those under way, too. TCP
// tells the peer nothing of it.
func (c *Conn) CloseRead(done func(error)) (op.Ticket, error) {
	k, err := c.loop.calls.get(c.loop, false)
	if err != nil {
		return op.Ticket{}, err
	}
	k.f = done
	k.op.Shutdown(c, syscall.SHUT_RD)
	return k.send(0)
}
