//go:build !linux

package fallback

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Engine is the epoll engine, which only Linux has.
type Engine struct{ op.Engine }

// New returns errors.ErrUnsupported.
func New(Options) (*Engine, error) {
	return nil, fmt.Errorf("epoll on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
