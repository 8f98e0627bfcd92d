//go:build linux

// Package optest is the conformance suite: the contract of package proactor,
// rule by rule, as tests that every engine must pass. An engine's own tests call
// Run with a function that opens it.
//
// Each test is named after the rule that it holds an engine to:
// Rule06_ALateCancelDoesNotHitTheNextUse. A test uses one loop on one engine of
// its own, real sockets on loopback and real files; what it waits for is an
// event, never a time.
package optest

import (
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Config is what a test asks of the engine that Open makes for it.
type Config struct {
	Entries int // size of the submission queue, or of a batch of events
	Workers int // how many blocking calls run side by side
}

// Open makes a new engine for one test.
type Open func(t testing.TB, c Config) op.Engine

// test is one test of the suite.
type test struct {
	name string
	run  func(*env)
}

// Run runs the suite against the engines that open makes.
func Run(t *testing.T, open Open) {
	for _, x := range suite() {
		t.Run(x.name, func(t *testing.T) {
			x.run(&env{T: t, open: open})
		})
	}
}

// suite lists all tests; each file of the suite has its own list.
func suite() (all []test) {
	for _, part := range [][]test{
		rule01, rule02, rule03, rule04, rule05, rule06, rule07,
		rule08, rule09, rule09AcceptEach, rule10, rule11, rule12, rule13, rule14,
		eachTests, gatherTests, memoryTests, regressTests, packetTests, rightsTests, fileTests,
		movingTests, movingEnds, zeroCopyTests, relayTests, chainTests, processTests, eventTests, futexTests,
	} {
		all = append(all, part...)
	}
	return all
}
