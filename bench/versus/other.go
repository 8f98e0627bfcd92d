//go:build !linux

package main

import "errors"

func versus(settings) error { return errors.ErrUnsupported }
