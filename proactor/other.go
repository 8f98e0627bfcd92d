//go:build !linux

package proactor

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

func openEngine(o *options) (op.Engine, string, error) {
	if o.engine != nil {
		return o.engine, "brought by the caller", nil
	}
	return nil, "", fmt.Errorf("proactor: %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func threadID() int64 { return 1 }

func prepareDescriptor(int, int) (op.Kind, bool, error) { return 0, false, errors.ErrUnsupported }

func isUnix(int) bool { return false }

func isUDP(int) bool { return false }

func isDatagram(int) bool { return false }

func newSocket(int, op.Kind) (int, error) { return -1, errors.ErrUnsupported }

func socketName(int, bool) (*op.Sockaddr, error) { return nil, errors.ErrUnsupported }

func setNoDelay(int) {}

func wallTimer(time.Time) (int, error) { return -1, errors.ErrUnsupported }

func newEventFD(uint64, bool) (int, error) { return -1, errors.ErrUnsupported }

func openProcess(int) (int, error) { return -1, errors.ErrUnsupported }

func fileSize(int) (int64, error) { return 0, errors.ErrUnsupported }

func pinThread(int) func() { return func() {} }

func (*ListenConfig) prepare(int, *op.Sockaddr, string, op.Kind) error { return errors.ErrUnsupported }

func (*ListenConfig) bind(int, *op.Sockaddr, op.Kind) error { return errors.ErrUnsupported }

type rawConn int

func (rawConn) Control(func(uintptr)) error { return errors.ErrUnsupported }

func (rawConn) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

func (rawConn) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

var _ syscall.RawConn = rawConn(0)
