package fallback

// Options of the engine.
type Options struct {
	Events  int  // how many events one wait returns at most; 32 if that is less
	Workers int  // how many goroutines execute blocking calls at most
	NoAIO   bool // O_DIRECT is the workers', too: io_submit(2) isn't tried
	Park    bool // waits take place in Go's netpoller: no thread is blocked
}
