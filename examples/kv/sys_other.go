//go:build !linux

package main

import (
	"errors"
	"os"
)

const rwfDsync, openDirect = 0, 0

func lockFile(*os.File) error { return errors.ErrUnsupported }

func shareLock(*os.File) error { return errors.ErrUnsupported }

func duplicateFD(int) (int, error) { return -1, errors.ErrUnsupported }

func reopen(*os.File, int) (*os.File, error) { return nil, errors.ErrUnsupported }

func syncDir(string) error { return errors.ErrUnsupported }

func cpuTimes() (user, system float64) { return 0, 0 }
