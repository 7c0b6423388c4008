// Package pool stores what the nodes of a pool have in common: the base URLs of living
// and former nodes, and the key that signs webhooks.
package pool

import "github.com/runnerbean/runnerbean/internal/ledger/engine"

// Pool is the part of a ledger that belongs to no single node.
type Pool struct{ ledger engine.Access }

// New returns the pool of a ledger.
func New(ledger engine.Access) *Pool { return &Pool{ledger} }
