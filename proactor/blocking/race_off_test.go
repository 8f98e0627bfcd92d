//go:build linux && !race

package blocking_test

const raceEnabled = false
