//go:build !linux

package main

import "github.com/seed-2ff0fea0/go-proactor/proactor"

// watchSignals does nothing: here is no loop that runs, either.
func (p *proxy) watchSignals(*proactor.Loop) error { return nil }
