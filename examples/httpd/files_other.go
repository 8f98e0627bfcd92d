//go:build !linux

package main

import "errors"

// There is no engine here either.
func openRoot(string) (int, error) { return -1, errors.ErrUnsupported }

func identify(int) (id identity, err error) { return id, errors.ErrUnsupported }

func duplicate(int) (int, error) { return -1, errors.ErrUnsupported }
