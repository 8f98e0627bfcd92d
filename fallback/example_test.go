package fallback_test

import (
	"fmt"

	"github.com/seed-2ff0fea0/go-proactor/fallback"
	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// An engine with options of its own; most programs say proactor.WithEngineName.
func ExampleNew() {
	e, err := fallback.New(fallback.Options{Events: 128, Workers: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	loop, err := proactor.New(proactor.WithEngine(e)) // the loop's from here on
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loop.Engine())
	fmt.Println(loop.Close())
	// Output:
	// epoll brought by the caller
	// <nil>
}
