//go:build !linux

package main

import "errors"

func contestNames() string { return "none on this system" }

func versus(settings) error { return errors.ErrUnsupported }
