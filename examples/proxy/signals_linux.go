package main

import (
	"os"
	"syscall"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

func (p *proxy) watchSignals(l *proactor.Loop) error {
	_, err := l.Signals(p.signal, syscall.SIGHUP, syscall.SIGUSR1)
	return err
}

// signal is the callback of the signals.
func (p *proxy) signal(s os.Signal, err error) {
	switch {
	case err != nil: // the loop is closing
	case s == syscall.SIGHUP:
		p.reload()
	case s == syscall.SIGUSR1:
		go p.report() // it waits for all loops
	}
}
