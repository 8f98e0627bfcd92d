package ring

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// Options of a ring.
type Options struct {
	// Entries is the size of the submission queue; the completion queue has four
	// times as many. It is rounded up to a power of two, and halved until
	// RLIMIT_MEMLOCK allows it.
	Entries int
	// Park has waits take place in Go's netpoller: the ring then belongs to no thread,
	// and costs more for each operation, but blocks none, and waking goroutines is cheap.
	Park bool
	// Workers is how many goroutines execute what the kernel's ring lacks.
	Workers int

	// The masks hide what the kernel has, so that a test can exercise the way of
	// an older one: set-up flags, feature bits (man 2 io_uring_setup), and
	// operations; op.None stands for messages between rings.
	MaskFlags    uint32
	MaskFeatures uint32
	MaskCodes    []op.Code
}
