package blocking

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// Listener is a net.Listener over a loop.
type Listener struct {
	net     *Net
	ln      *proactor.Listener
	network string
	acc     side
	gate    gate
}

var (
	_ net.Listener = (*Listener)(nil)
	_ syscall.Conn = (*Listener)(nil)
)

// Listen listens on network "tcp", "tcp4", "tcp6", "unix" or "unixpacket", at an
// address as package net takes it. The error is a *net.OpError.
func (n *Net) Listen(network, address string) (net.Listener, error) {
	ln, err := n.ListenWith(&proactor.ListenConfig{}, network, address)
	if err != nil {
		return nil, err
	}
	return ln, nil
}

// ListenWith is Listen with options.
func (n *Net) ListenWith(c *proactor.ListenConfig, network, address string) (*Listener, error) {
	with := *c
	with.Control = func(network, address string, raw syscall.RawConn) error {
		_ = raw.Control(func(fd uintptr) { keepAlive(int(fd)) })
		if c.Control == nil {
			return nil
		}
		return c.Control(network, address, raw)
	}
	ln, err := with.Listen(n.loop, network, address)
	if err != nil {
		return nil, listenError(network, address, err)
	}
	return &Listener{net: n, ln: ln, network: network, gate: gate{loop: n.loop, state: ln.State()}}, nil
}

func listenError(network, address string, err error) error {
	var at interface{ Address() string }
	if errors.As(err, &at) {
		err = errors.Unwrap(at.(error))
	}
	return &net.OpError{Op: "listen", Net: network, Addr: addrOf(network, address), Err: err}
}

// Accept waits for a connection (accept4(2)); it is a *Conn. Connections that died in
// the backlog are passed over. TCP connections have TCP_NODELAY and keep-alive probes,
// as those of package net do.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.accept()
	if err != nil {
		return nil, l.opError("accept", systemCall("accept4", err))
	}
	return l.net.conn(c, l.network), nil
}

func (l *Listener) accept() (*proactor.Conn, error) {
	l.acc.turn.Lock()
	defer l.acc.turn.Unlock()
	w := l.net.waiter()
	defer w.free()
	for {
		w.op.Accept(l.ln)
		fd, moved, err := l.acc.do(w)
		switch {
		case moved, errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EPROTO):
		case err != nil:
			return nil, err
		default:
			return l.ln.NewConn(fd)
		}
	}
}

// Close stops listening: an Accept that waits returns with net.ErrClosed. A unix
// socket's file is removed.
func (l *Listener) Close() error {
	err := l.gate.close()
	if err == nil {
		err = l.net.closing(l.ln.Close)
	}
	return l.opError("close", err)
}

// Addr returns the address it listens on.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// SetDeadline sets the deadline of Accept, also of one that waits already. A zero t is
// none.
func (l *Listener) SetDeadline(t time.Time) error {
	if l.gate.isClosed() {
		return net.ErrClosed
	}
	l.acc.setDeadline(l.net, when(t))
	return nil
}

// SyscallConn returns access to the descriptor: only by Control.
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	if l.gate.isClosed() {
		return nil, net.ErrClosed
	}
	return rawListener{l}, nil
}

type rawListener struct{ l *Listener }

// Control calls f with the descriptor, which stays open meanwhile.
func (r rawListener) Control(f func(fd uintptr)) error {
	return r.l.opError("raw-control", r.l.gate.use(func() { f(uintptr(r.l.ln.FD())) }))
}

// Read returns syscall.EINVAL.
func (rawListener) Read(func(uintptr) bool) error { return syscall.EINVAL }

// Write returns syscall.EINVAL.
func (rawListener) Write(func(uintptr) bool) error { return syscall.EINVAL }

func (l *Listener) opError(what string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: what, Net: l.network, Addr: l.Addr(), Err: err}
}
