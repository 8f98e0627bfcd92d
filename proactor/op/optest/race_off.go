//go:build linux && !race

package optest

// raceEnabled: see race_on.go.
const raceEnabled = false
