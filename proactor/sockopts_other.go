//go:build !linux

package proactor

import (
	"errors"
	"net"
)

// SetNoDelay returns errors.ErrUnsupported.
func (c *Conn) SetNoDelay(bool) error { return errors.ErrUnsupported }

// SetKeepAlive returns errors.ErrUnsupported.
func (c *Conn) SetKeepAlive(net.KeepAliveConfig) error { return errors.ErrUnsupported }

// SetLinger returns errors.ErrUnsupported.
func (c *Conn) SetLinger(int) error { return errors.ErrUnsupported }

// SetReadBuffer returns errors.ErrUnsupported.
func (c *Conn) SetReadBuffer(int) error { return errors.ErrUnsupported }

// SetWriteBuffer returns errors.ErrUnsupported.
func (c *Conn) SetWriteBuffer(int) error { return errors.ErrUnsupported }

// PeerCred returns errors.ErrUnsupported.
func (c *Conn) PeerCred() (Cred, error) { return Cred{}, errors.ErrUnsupported }
