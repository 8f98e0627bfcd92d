package proactor

import (
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Dial connects to an address of network "tcp", "tcp4", "tcp6" or "unix"
// (connect(2)). IP addresses must be numeric: a name lookup would block. The
// socket is close-on-exec and, on TCP, TCP_NODELAY. Any goroutine may call it.
func (l *Loop) Dial(network, address string, done func(*Conn, error)) (op.Ticket, error) {
	return l.DialTimeout(network, address, 0, done)
}

// DialTimeout is Dial that ends with os.ErrDeadlineExceeded after d; zero is no
// limit but the kernel's own.
func (l *Loop) DialTimeout(network, address string, d time.Duration, done func(*Conn, error)) (op.Ticket, error) {
	t, err := l.dial(network, address, d, done)
	if err != nil {
		return t, opError("dial", network, address, err)
	}
	return t, nil
}

func (l *Loop) dial(network, address string, d time.Duration, done func(*Conn, error)) (op.Ticket, error) {
	sa, err := resolve(network, address, false)
	if err != nil {
		return op.Ticket{}, err
	}
	fd, err := newSocket(sa.Family())
	if err != nil {
		return op.Ticket{}, err
	}
	if sa.Family() != op.AFUnix {
		setNoDelay(fd)
	}
	c, err := l.newConn(fd, sa.Family() == op.AFUnix)
	if err != nil {
		return op.Ticket{}, err
	}
	k, err := l.calls.get(l, false)
	if err != nil {
		_ = c.Abort(nil)
		return op.Ticket{}, err
	}
	k.n = func(_ int, err error) { c.dialed(err, done) }
	k.op.Connect(c, sa)
	t, err := k.send(d)
	if err != nil {
		_ = c.Abort(nil)
	}
	return t, err
}

// dialed delivers the connection, or closes the socket that has none.
func (c *Conn) dialed(err error, done func(*Conn, error)) {
	if err == nil {
		done(c, nil)
		return
	}
	_ = c.Abort(nil) // closing already: the loop is
	done(nil, err)
}
