package blocking

import (
	"context"
	"io/fs"
	"net"
)

// Listen is Net.Listen of the Default Net.
func Listen(network, address string) (net.Listener, error) {
	n, err := Default()
	if err != nil {
		return nil, err
	}
	return n.Listen(network, address)
}

// Dial is Net.Dial of the Default Net.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n, err := Default()
	if err != nil {
		return nil, err
	}
	return n.Dial(ctx, network, address)
}

// ListenPacket is Net.ListenPacket of the Default Net.
func ListenPacket(network, address string) (net.PacketConn, error) {
	n, err := Default()
	if err != nil {
		return nil, err
	}
	return n.ListenPacket(network, address)
}

// Open is Net.Open of the Default Net.
func Open(name string) (*File, error) {
	n, err := Default()
	if err != nil {
		return nil, err
	}
	return n.Open(name)
}

// Create is Net.Create of the Default Net.
func Create(name string) (*File, error) {
	n, err := Default()
	if err != nil {
		return nil, err
	}
	return n.Create(name)
}

// OpenFile is Net.OpenFile of the Default Net.
func OpenFile(name string, flags int, perm fs.FileMode) (*File, error) {
	n, err := Default()
	if err != nil {
		return nil, err
	}
	return n.OpenFile(name, flags, perm)
}

// DirFS is Net.DirFS of the Default Net. Without one, the error comes from Open.
func DirFS(dir string) fs.FS {
	n, err := Default()
	if err != nil {
		return noFS{err}
	}
	return n.DirFS(dir)
}

type noFS struct{ err error }

// Open returns the error.
func (f noFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: f.err}
}
