//go:build !linux

package proactor

import (
	"errors"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

func (d *Dialer) socket(string, *op.Sockaddr) (int, error) { return -1, errors.ErrUnsupported }
