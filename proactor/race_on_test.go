//go:build race

package proactor_test

// raceEnabled: the race detector makes everything ten times slower.
const raceEnabled = true
