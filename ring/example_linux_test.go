package ring_test

import (
	"errors"
	"fmt"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/seed-2ff0fea0/go-proactor/ring"
)

// What the kernel's io_uring has, and what is done without the rest.
func ExampleProbe() {
	info, err := ring.Probe(ring.Options{Entries: 1024})
	var refused *ring.Error
	if errors.As(err, &refused) {
		fmt.Println("no io_uring:", refused.Cause)
		return
	}
	fmt.Println(info)
	for _, f := range info.Features {
		if !f.Found {
			fmt.Println(f.Name, "came with Linux", f.Kernel, "- without it:", f.Without)
		}
	}
}

// A ring as if the kernel had no openat, for a test of what is done then; most
// programs say proactor.WithEngineName.
func ExampleNew() {
	e, err := ring.New(ring.Options{Entries: 64, Workers: 4, MaskCodes: []op.Code{op.OpenAt}})
	if err != nil { // a *ring.Error
		fmt.Println(err)
		return
	}
	fmt.Println(e.Native(op.OpenAt), e.Supports(op.OpenAt)) // it is emulated: false <nil>
	loop, err := proactor.New(proactor.WithEngine(e))       // the loop's from here on
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loop.Engine())
	_ = loop.Close()
}
