//go:build !linux

package proactor

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

func openEngine(o *options) (op.Engine, string, error) {
	if o.engine != nil {
		return o.engine, "brought by the caller", nil
	}
	return nil, "", fmt.Errorf("proactor: %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func threadID() int64 { return 1 }

func prepareDescriptor(int) (op.Kind, bool, error) { return 0, false, errors.ErrUnsupported }

func isUnix(int) bool { return false }

func isUDP(int) bool { return false }

func newSocket(int, op.Kind) (int, error) { return -1, errors.ErrUnsupported }

func bindListen(int, *op.Sockaddr, bool) error { return errors.ErrUnsupported }

func socketName(int, bool) (*op.Sockaddr, error) { return nil, errors.ErrUnsupported }

func setNoDelay(int) {}

func fileSize(int) (int64, error) { return 0, errors.ErrUnsupported }

func sharePort(int) error { return errors.ErrUnsupported }

func pinThread(int) func() { return func() {} }

func bindPacket(int, *op.Sockaddr, string) error { return errors.ErrUnsupported }

func connectPacket(int, *op.Sockaddr, string) error { return errors.ErrUnsupported }
