// Package activity counts jobs: how many are in each state, what ended when, on which
// node, of which program, and how long it ran. Counters are rolled up to longer steps,
// so reading them costs the same with any number of jobs.
package activity

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Counters are the counters of a ledger.
type Counters struct {
	// Check is how long cached counters are used without a comparison with the tables.
	// Default 3 s.
	Check time.Duration

	ledger engine.Access
	cache  bucketCache
}

// New returns the counters of a ledger.
func New(ledger engine.Access) *Counters {
	c := &Counters{ledger: ledger, Check: checkEvery}
	c.cache.ledger, c.cache.check, c.cache.held = ledger, &c.Check, map[bucketKey]heldBuckets{}
	return c
}

// Late drops cached steps in which list has ended. Call it after the commit.
func (c *Counters) Late(list []Ended) { c.cache.lateEnd(list) }
