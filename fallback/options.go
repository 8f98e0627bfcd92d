package fallback

// Options of the engine.
type Options struct {
	Events  int // how many events one wait returns at most
	Workers int // how many goroutines execute blocking calls at most
}
