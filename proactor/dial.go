package proactor

import (
	"net/netip"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Dial connects to an address of network "tcp", "tcp4", "tcp6", "unix" or
// "unixpacket" (connect(2)), as the zero Dialer does: see there. Any goroutine may
// call it.
func (l *Loop) Dial(network, address string, done func(*Conn, error)) (op.Ticket, error) {
	return new(Dialer).Dial(l, network, address, done)
}

// DialTimeout is Dial that ends with os.ErrDeadlineExceeded after d, the lookup of
// a name included; zero is no limit but the kernel's own.
func (l *Loop) DialTimeout(network, address string, d time.Duration, done func(*Conn, error)) (op.Ticket, error) {
	return (&Dialer{Timeout: d}).Dial(l, network, address, done)
}

// dialOne connects to the one address that there is: one operation, whose ticket
// is the dial's.
func (d *Dialer) dialOne(l *Loop, to target, limit time.Duration, done func(*Conn, error)) (op.Ticket, error) {
	sa, err := to.sockaddr()
	if err != nil {
		return op.Ticket{}, err
	}
	c, err := d.conn(l, to.network, sa)
	if err != nil {
		return op.Ticket{}, err
	}
	k, err := l.calls.get(l, false)
	if err != nil {
		_ = c.Abort(nil)
		return op.Ticket{}, err
	}
	k.f = func(_ int, err error) {
		if err == nil {
			done(c, nil)
			return
		}
		_ = c.Abort(nil) // closing already: the loop is
		done(nil, opError("dial", to.network, to.address, err))
	}
	k.op.Connect(c, sa)
	t, err := k.send(limit)
	if err != nil {
		_ = c.Abort(nil)
	}
	return t, err
}

// conn returns a Conn of the loop that is about to connect to an address.
func (d *Dialer) conn(l *Loop, network string, to *op.Sockaddr) (*Conn, error) {
	fd, err := d.socket(network, to)
	if err != nil {
		return nil, err
	}
	return l.newConnOf(fd, kindOf(network), to.Family() == op.AFUnix)
}

// sockaddr returns the address of a target that needs no lookup.
func (t *target) sockaddr() (*op.Sockaddr, error) {
	if t.unix {
		return op.UnixSockaddr(t.address)
	}
	return op.IPSockaddr(netip.AddrPortFrom(t.ip, t.port))
}
