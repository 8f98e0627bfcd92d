//go:build !linux

package main

// thisHost is nil: there is nothing to advise where there is no engine.
func thisHost() *host { return nil }
