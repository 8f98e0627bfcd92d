package blocking

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Conn is a connection whose methods block: a net.Conn, with methods that
// *net.TCPConn and *net.UnixConn have.
type Conn struct {
	endpoint
	c   *proactor.Conn
	wet bool // the last Read filled its slice: there is likely more; under rd.turn
}

var (
	_ net.Conn     = (*Conn)(nil)
	_ syscall.Conn = (*Conn)(nil)
)

// Dial connects to an address, as net.Dialer.DialContext does. Networks are "tcp",
// "tcp4", "tcp6", "unix" and "unixpacket", which give a *Conn, and "udp", "udp4",
// "udp6" and "unixgram", which give a *PacketConn. The error is a *net.OpError.
func (n *Net) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return n.DialWith(ctx, &proactor.Dialer{}, network, address)
}

// DialWith is Dial with options: for datagrams there is only the Resolver.
func (n *Net) DialWith(ctx context.Context, d *proactor.Dialer, network, address string) (net.Conn, error) {
	c, err := n.dial(ctx, d, network, address)
	if err != nil {
		return nil, dialError(ctx, network, address, d.LocalAddr, err)
	}
	return c, nil
}

func (n *Net) dial(ctx context.Context, d *proactor.Dialer, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(network, "udp") || network == "unixgram" {
		p, err := n.dialPacket(ctx, d.Resolver, network, address)
		if err != nil {
			return nil, err
		}
		return n.packetConn(p, network), nil
	}
	if n.loop.Inside() {
		return nil, ErrInside
	}
	var c *proactor.Conn
	var failed error
	w := n.waiter()
	defer w.free()
	t, err := d.Dial(n.loop, network, address, func(got *proactor.Conn, err error) {
		c, failed = got, err
		w.wake(nil)
	})
	if err != nil {
		return nil, err
	}
	if w.wait(ctx, t); failed != nil {
		return nil, failed
	}
	return n.conn(c, network), nil
}

// dialPacket looks a name up itself, because DialPacket knows no context.
func (n *Net) dialPacket(ctx context.Context, r *net.Resolver, network, address string) (*proactor.PacketConn, error) {
	host, port, err := net.SplitHostPort(address)
	if _, no := netip.ParseAddr(host); network == "unixgram" || err != nil || host == "" || no == nil {
		return n.loop.DialPacket(network, address)
	}
	if r == nil {
		r = net.DefaultResolver
	}
	ips, err := r.LookupNetIP(ctx, "ip"+strings.TrimPrefix(network, "udp"), host)
	var first error
	for _, ip := range ips {
		p, err := n.loop.DialPacket(network, net.JoinHostPort(ip.Unmap().String(), port))
		if err == nil {
			return p, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, cmp.Or(err, first)
}

// Conn makes a connection of the Net's loop one whose methods block. Nothing may be
// under way on c, nor be submitted to it afterwards. It panics if c belongs to another
// loop.
func (n *Net) Conn(c *proactor.Conn) *Conn {
	if c.Loop() != n.loop {
		panic("blocking: a Conn of another loop")
	}
	switch {
	case !c.State().Unix:
		return n.conn(c, "tcp")
	case c.State().Kind == op.Seqpacket:
		return n.conn(c, "unixpacket")
	}
	return n.conn(c, "unix")
}

func (n *Net) conn(c *proactor.Conn, network string) *Conn {
	k := &Conn{c: c}
	k.init(n, c, network)
	if k.remote == nil { // it is gone already, or has no name; callers want an address
		if k.remote = net.Addr(&net.TCPAddr{}); c.State().Unix {
			k.remote = &net.UnixAddr{Net: network, Name: "@"}
		}
	}
	return k
}

// Read receives into b (recv(2)): it waits until there is at least one byte, and
// returns io.EOF at the end of the stream. An empty b doesn't wait.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.read(b)
	if err != nil {
		err = c.opError("read", systemCall("read", err))
	}
	return n, err
}

func (c *Conn) read(b []byte) (int, error) {
	c.rd.turn.Lock()
	defer c.rd.turn.Unlock()
	if c.gate.isClosed() {
		return 0, net.ErrClosed
	}
	if len(b) == 0 {
		return 0, nil
	}
	w := c.rd.take(c.net)
	defer c.rd.keep(w, &c.gate)
	if c.wet {
		if n, done, err := c.readNow(w, b); done {
			return n, err
		}
	}
	for {
		w.op.Recv(c.c, b)
		n, moved, err := c.rd.do(w)
		if !moved {
			c.wet = n == len(b)
			return n, err
		}
	}
}

// readNow reads what is there, without a way through the loop.
func (c *Conn) readNow(w *waiter, b []byte) (n int, done bool, err error) {
	if err := c.rd.overdue(); err != nil {
		return 0, true, err
	}
	w.op.Recv(c.c, b)
	n, done, err = c.now(w)
	c.wet = n == len(b)
	if done && n == 0 && err == nil {
		err = io.EOF
	}
	return n, done, err
}

// Write sends all of b (send(2)), and waits until the kernel has taken it. With an
// error it returns how much that has.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.write(b)
	if err != nil {
		err = c.opError("write", systemCall("write", err))
	}
	return n, err
}

func (c *Conn) write(b []byte) (sent int, err error) {
	c.wr.turn.Lock()
	defer c.wr.turn.Unlock()
	if err := c.wr.overdue(); err != nil {
		return 0, err
	}
	sent, done, err := c.send(b)
	if err != nil || done && sent == len(b) {
		return sent, err
	}
	w := c.net.waiter()
	defer w.free()
	for {
		w.op.Send(c.c, b[sent:])
		n, moved, err := c.wr.do(w)
		if sent += n; !moved {
			return sent, err
		}
	}
}

// CloseRead ends the receiving side (shutdown(2)): reads return io.EOF.
func (c *Conn) CloseRead() error { return c.shut(syscall.SHUT_RD) }

// CloseWrite ends the sending side (shutdown(2)): the peer reads what was written, and
// then io.EOF.
func (c *Conn) CloseWrite() error { return c.shut(syscall.SHUT_WR) }

func (c *Conn) shut(how int) error {
	var err error
	if e := c.control(func(fd uintptr) { err = shutdown(int(fd), how) }); e != nil {
		err = e
	}
	return c.opError("close", err)
}

// SetNoDelay sends small pieces at once (true, the default) or lets the kernel gather
// them (TCP_NODELAY).
func (c *Conn) SetNoDelay(on bool) error {
	return c.set(func() error { return c.c.SetNoDelay(on) })
}

// SetKeepAlive switches keep-alive probes on or off (SO_KEEPALIVE).
func (c *Conn) SetKeepAlive(on bool) error {
	return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: on, Idle: -1, Interval: -1, Count: -1})
}

// SetKeepAlivePeriod sets how long a connection is idle before it is probed.
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error {
	return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: d, Interval: d, Count: -1})
}

// SetKeepAliveConfig sets the keep-alive probes in detail, as *net.TCPConn's does.
func (c *Conn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	return c.set(func() error { return c.c.SetKeepAlive(k) })
}

// SetLinger sets what Close does with data that the kernel has not sent yet, as
// *net.TCPConn's does (SO_LINGER).
func (c *Conn) SetLinger(sec int) error {
	return c.set(func() error { return c.c.SetLinger(sec) })
}

// SetReadBuffer sets the size of the kernel's receive buffer in bytes (SO_RCVBUF).
func (c *Conn) SetReadBuffer(bytes int) error {
	return c.setBuffer(func() error { return c.c.SetReadBuffer(bytes) })
}

// SetWriteBuffer sets the size of the kernel's send buffer in bytes (SO_SNDBUF).
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.setBuffer(func() error { return c.c.SetWriteBuffer(bytes) })
}

func (c *Conn) setBuffer(option func() error) error {
	err := c.set(option)
	if e, ok := err.(*net.OpError); ok { // as package net has it
		e.Source, e.Addr = nil, c.local
	}
	return err
}

func (c *Conn) set(option func() error) error {
	var err error
	if e := c.control(func(uintptr) { err = option() }); e != nil {
		err = e
	}
	return c.opError("set", err)
}
