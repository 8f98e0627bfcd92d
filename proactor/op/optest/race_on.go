//go:build linux && race

package optest

// raceEnabled: the race detector makes everything ten times slower.
const raceEnabled = true
