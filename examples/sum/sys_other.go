//go:build !linux

package main

import "os"

const (
	directFlag = 0
	pageSize   = 4096
)

func clearDirect(int) {}

func allocate(n int) ([]byte, error) { return make([]byte, n), nil }

func release([]byte) {}

func isTerminal(*os.File) bool { return false }
