//go:build !linux

package main

import "errors"

func kernel() string  { return "not Linux" }
func network() string { return "" }

func processor() string { return "" }

func cpus() int { return 0 }

func inside(func() error) error { return errors.ErrUnsupported }

func serveArm(string) error { return errors.ErrUnsupported }

func readArm(string, []string) error { return errors.ErrUnsupported }

func unavailable(string, load) error { return errors.ErrUnsupported }

func measure(string, load) (figures, error) { return figures{}, errors.ErrUnsupported }
