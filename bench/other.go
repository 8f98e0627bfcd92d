//go:build !linux

package main

import "errors"

var buildPeers func(dir string) error

func serveArm(string) error { return errors.ErrUnsupported }

func readArm(string, []string) error { return errors.ErrUnsupported }

func unavailable(string, load) error { return errors.ErrUnsupported }

func measure(string, load) (figures, error) { return figures{}, errors.ErrUnsupported }
