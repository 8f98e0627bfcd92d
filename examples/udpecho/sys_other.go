//go:build !linux

package main

import (
	"syscall"
	"time"
)

func setRoom(syscall.RawConn, int) error { return nil }

func waiting(int) int { return 0 }

// cpuTime is unknown here.
func cpuTime() time.Duration { return 0 }
