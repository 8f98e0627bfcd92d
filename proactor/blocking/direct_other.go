//go:build !linux

package blocking

import "errors"

type scratch struct{}

func (w *waiter) try() (n int, done bool, err error) { return 0, true, errors.ErrUnsupported }

func (e *endpoint) send([]byte) (n int, done bool, err error) { return 0, true, errors.ErrUnsupported }

func shutdown(int, int) error { return errors.ErrUnsupported }

func keepAlive(int) {}

func duplicate(int) (int, error) { return -1, errors.ErrUnsupported }
