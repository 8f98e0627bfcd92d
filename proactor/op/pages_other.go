//go:build !linux

package op

func pages(_ *Pool, n int) []byte { return make([]byte, n) }
