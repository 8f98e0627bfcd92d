//go:build !linux

package main

import "errors"

func kernel() string { return "not Linux" }

func serveArm(string) error { return errors.ErrUnsupported }

func measure(string, load) (figures, error) { return figures{}, errors.ErrUnsupported }
