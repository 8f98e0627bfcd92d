package proactor

import (
	"fmt"
	"os"

	"github.com/seed-2ff0fea0/go-proactor/fallback"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/ring"
)

// openEngine chooses and opens the engine: the option, else the environment,
// else io_uring where it works and epoll where it doesn't.
func openEngine(o *options) (e op.Engine, why string, err error) {
	if o.engine != nil {
		return o.engine, "brought by the caller", nil
	}
	choice, why := o.choice, o.choiceWhy
	if choice == "" {
		choice, why = os.Getenv(EngineVar), "chosen by "+EngineVar
	}
	switch choice {
	case "", "auto":
		e, err = openRing(o)
		if err == nil {
			return e, "io_uring works here", nil
		}
		refusal := err
		e, err = openEpoll(o)
		return e, "no io_uring: " + refusal.Error(), err
	case "io_uring":
		e, err = openRing(o)
	case "epoll":
		e, err = openEpoll(o)
	default:
		err = fmt.Errorf("unknown engine %q (auto, io_uring or epoll; %s)", choice, why)
	}
	if err != nil {
		return nil, "", fmt.Errorf("proactor: open engine: %w", err)
	}
	return e, why, nil
}

func openRing(o *options) (op.Engine, error) {
	e, err := ring.New(ring.Options{Entries: o.entries, Workers: o.workers, Park: o.netpoller})
	if err != nil {
		return nil, err // not a nil *ring.Engine in an interface
	}
	return e, nil
}

func openEpoll(o *options) (op.Engine, error) {
	e, err := fallback.New(fallback.Options{Events: o.entries, Workers: o.workers, NoAIO: os.Getenv(AIOVar) == "off", Park: o.netpoller})
	if err != nil {
		return nil, err
	}
	return e, nil
}
