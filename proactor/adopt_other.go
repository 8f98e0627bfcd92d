//go:build !linux

package proactor

import (
	"errors"
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

func duplicate(syscall.Conn) (int, error) { return -1, errors.ErrUnsupported }

func duplicateFile(*os.File) (int, error) { return -1, errors.ErrUnsupported }

func duplicateStream(*os.File) (int, op.Kind, error) { return -1, 0, errors.ErrUnsupported }
