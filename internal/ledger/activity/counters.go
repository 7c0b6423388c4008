// Package activity counts what jobs do: how many are in each state, what ended when,
// on which node and of which program, and how long it ran. It rolls its counters up
// to longer steps, so that reading them costs the same with any number of jobs.
package activity

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Counters are those of a ledger.
type Counters struct {
	// Check is how old the last comparison of what is held in memory with the tables
	// may be. Default 3 s.
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

// Late tells the counters of what has been committed: ends of steps that were over.
func (c *Counters) Late(list []Ended) { c.cache.lateEnd(list) }
