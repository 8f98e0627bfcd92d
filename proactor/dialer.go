package proactor

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Dialer has the options of Dial, named and meant as in net.Dialer; the zero
// Dialer has the usual ones. Dial copies it, so it can be used, and changed
// between two calls, as often as wanted.
//
// On TCP a connection has TCP_NODELAY, and keep-alive probes by default. All
// sockets are close-on-exec.
type Dialer struct {
	// Timeout limits the whole of a dial, the lookup and all attempts: it then ends
	// with os.ErrDeadlineExceeded. Zero is no limit but the kernel's own.
	Timeout time.Duration
	// Deadline is Timeout as a point in time; the earlier of the two counts.
	Deadline time.Time
	// LocalAddr is the address to connect from: a *net.TCPAddr, for unix sockets a
	// *net.UnixAddr. Nil lets the kernel choose.
	LocalAddr net.Addr
	// FallbackDelay is how long an attempt to connect may take before the next
	// address of a name is tried beside it (RFC 8305). Zero is 250 ms; negative
	// tries one address after the other, and shares the Timeout among them.
	FallbackDelay time.Duration
	// KeepAlive is the time between keep-alive probes on TCP: zero is 15 s,
	// negative switches them off. With KeepAliveConfig.Enable it is ignored.
	KeepAlive time.Duration
	// KeepAliveConfig sets the keep-alive probes in detail, if its Enable is set;
	// else they are as package net has them by default: after 15 s, every 15 s,
	// given up after 9.
	KeepAliveConfig net.KeepAliveConfig
	// FastOpen lets the first data go with the SYN on TCP (TCP_FASTOPEN_CONNECT),
	// where the system allows it and the server is known from before. A connection
	// then seems to be made at once: it is the first send that may find out that
	// nobody answers, and the other addresses of the name are not tried.
	FastOpen bool
	// Resolver looks names up; nil is net.DefaultResolver.
	Resolver *net.Resolver
	// Control, if not nil, is called for each socket before it is bound and
	// connected, with "tcp4" or "tcp6" for "tcp", and with the numeric address. Its
	// error ends the attempt. It must not block: it runs in the call of Dial, or
	// after a lookup on the loop. Only the Control method of c is supported.
	Control func(network, address string, c syscall.RawConn) error
}

// fallbackDelay is what RFC 8305 recommends.
const fallbackDelay = 250 * time.Millisecond

// Dial connects to an address of network "tcp", "tcp4", "tcp6", "unix" or
// "unixpacket". Addresses of TCP are host:port, as for package net; an empty host
// is the local system. A host's name, or a port's, is looked up on a goroutine.
// The addresses found, of "tcp" both IPv6 and IPv4, are tried in the order of the
// resolver but with the families taking turns: the next one when an attempt has
// failed or has taken FallbackDelay. The first connection is delivered, the other
// attempts are aborted. If none comes about, the error is that of the first
// attempt that failed.
//
// The ticket names the whole: Loop.Cancel ends the lookup, too. If Dial itself
// returns an error there is no callback. Any goroutine may call it.
func (d *Dialer) Dial(l *Loop, network, address string, done func(*Conn, error)) (op.Ticket, error) {
	if done == nil {
		panic("proactor: Dial without a callback")
	}
	t, err := d.dial(l, network, address, done)
	if err != nil {
		return t, opError("dial", network, address, err)
	}
	return t, nil
}

func (d *Dialer) dial(l *Loop, network, address string, done func(*Conn, error)) (op.Ticket, error) {
	limit, err := d.limit()
	if err != nil {
		return op.Ticket{}, err
	}
	to, err := newTarget(network, address)
	if err != nil {
		return op.Ticket{}, err
	}
	if to.local, err = d.localAddr(to.unix); err != nil {
		return op.Ticket{}, err
	}
	if to.lookup {
		return d.dialName(l, to, limit, done)
	}
	if !to.unix && !to.takes(to.ip) {
		return op.Ticket{}, to.unsuitable()
	}
	return d.dialOne(l, to, limit, done)
}

// limit returns how long a dial that begins now may take; 0 is no limit.
func (d *Dialer) limit() (time.Duration, error) {
	limit, over := d.Timeout, d.Timeout < 0
	if !d.Deadline.IsZero() {
		left := time.Until(d.Deadline)
		over = over || left <= 0
		if limit == 0 || left < limit {
			limit = left
		}
	}
	if over {
		return 0, os.ErrDeadlineExceeded
	}
	return limit, nil
}

// keepAlive returns the keep-alive probes, of which Enable may be false.
func (d *Dialer) keepAlive() net.KeepAliveConfig {
	if d.KeepAliveConfig.Enable || d.KeepAlive < 0 {
		return d.KeepAliveConfig
	}
	return net.KeepAliveConfig{Enable: true, Idle: d.KeepAlive, Interval: d.KeepAlive}
}

// localAddr returns where TCP is to connect from, invalid if that is not said; the
// port alone may be said. Unix sockets have a name instead.
func (d *Dialer) localAddr(unix bool) (netip.AddrPort, error) {
	switch a := d.LocalAddr.(type) {
	case nil:
		return netip.AddrPort{}, nil
	case *net.TCPAddr:
		if !unix {
			ap := a.AddrPort()
			return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
		}
	case *net.UnixAddr:
		if unix {
			return netip.AddrPort{}, nil
		}
	}
	return netip.AddrPort{}, &net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()}
}

// target is what an address of Dial means.
type target struct {
	network, address string
	unix             bool
	lookup           bool // there is a name: of the host if ip isn't valid, of the port if service isn't empty

	host, service string
	ip            netip.Addr
	port          uint16
	local         netip.AddrPort // where to connect from
}

func newTarget(network, address string) (target, error) {
	t := target{network: network, address: address}
	switch network {
	case "unix", "unixpacket":
		t.unix = true
		return t, nil
	case "tcp", "tcp4", "tcp6":
	default:
		return t, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return t, err
	}
	if t.port, err = numericPort(service); err != nil {
		return t, err
	}
	if _, err := strconv.Atoi(service); err != nil && service != "" {
		t.service, t.lookup = service, true
	}
	switch ip, err := netip.ParseAddr(host); {
	case err == nil:
		t.ip = t.unmap(ip)
	case host == "" && network == "tcp6":
		t.ip = netip.IPv6Loopback()
	case host == "":
		t.ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		t.host, t.lookup = host, true
	}
	if t.ip.IsValid() && !t.hasFamily(t.ip) {
		return t, t.unsuitable()
	}
	return t, nil
}

// numericPort returns a port that is a number; an empty one is 0, and so is a name.
func numericPort(service string) (uint16, error) {
	n, err := strconv.Atoi(service)
	if err != nil {
		return 0, nil
	}
	if n < 0 || n > 1<<16-1 {
		return 0, &net.AddrError{Err: "invalid port", Addr: service}
	}
	return uint16(n), nil
}

// unmap makes an IPv4 address that is mapped into IPv6 what it is, unless IPv6 is
// asked for.
func (t *target) unmap(ip netip.Addr) netip.Addr {
	if t.network == "tcp6" {
		return ip
	}
	return ip.Unmap()
}

// ipNetwork is how a resolver calls the network's families.
func (t *target) ipNetwork() string { return "ip" + strings.TrimPrefix(t.network, "tcp") }

// hasFamily reports whether an address is of the network's families.
func (t *target) hasFamily(ip netip.Addr) bool {
	return ip.IsValid() && (t.network == "tcp" || ip.Is4() == (t.network == "tcp4"))
}

// takes reports whether an address can be connected to from the local one.
func (t *target) takes(ip netip.Addr) bool {
	from := t.local.Addr()
	return t.hasFamily(ip) && (!from.IsValid() || from.IsUnspecified() || from.Is4() == ip.Is4())
}

func (t *target) unsuitable() error {
	return &net.AddrError{Err: "no suitable address of network " + t.network, Addr: t.address}
}

// find looks up what is a name in the target.
func (t *target) find(ctx context.Context, r *net.Resolver) ([]netip.AddrPort, error) {
	if r == nil {
		r = net.DefaultResolver
	}
	port, ips := t.port, []netip.Addr{t.ip}
	if t.service != "" {
		n, err := r.LookupPort(ctx, t.network, t.service)
		if err != nil {
			return nil, err
		}
		port = uint16(n)
	}
	if t.host != "" {
		var err error
		if ips, err = r.LookupNetIP(ctx, t.ipNetwork(), t.host); err != nil {
			return nil, err
		}
	}
	var found []netip.AddrPort
	for _, ip := range ips {
		if ip = t.unmap(ip); t.takes(ip) {
			found = append(found, netip.AddrPortFrom(ip, port))
		}
	}
	if len(found) == 0 {
		return nil, t.unsuitable()
	}
	return found, nil
}
