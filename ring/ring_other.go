//go:build !linux

package ring

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Engine is the io_uring engine, which only Linux has.
type Engine struct{ op.Engine }

// New returns errors.ErrUnsupported.
func New(Options) (*Engine, error) { return nil, errOther() }

// Probe returns errors.ErrUnsupported.
func Probe(Options) (Info, error) { return Info{}, errOther() }

func errOther() error { return fmt.Errorf("io_uring on %s: %w", runtime.GOOS, errors.ErrUnsupported) }
