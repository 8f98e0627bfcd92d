//go:build !linux

package proactor

import (
	"errors"
	"net"
	"net/netip"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

func connectPacket(int, *op.Sockaddr) error { return errors.ErrUnsupported }

// SetControl returns errors.ErrUnsupported.
func (*PacketConn) SetControl(ControlKind) error { return errors.ErrUnsupported }

// Join returns errors.ErrUnsupported.
func (*PacketConn) Join(netip.Addr, *net.Interface) error { return errors.ErrUnsupported }

// Leave returns errors.ErrUnsupported.
func (*PacketConn) Leave(netip.Addr, *net.Interface) error { return errors.ErrUnsupported }

// SetMulticastInterface returns errors.ErrUnsupported.
func (*PacketConn) SetMulticastInterface(*net.Interface) error { return errors.ErrUnsupported }
