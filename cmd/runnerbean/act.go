package main

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// act applies a verb to jobs. The reconciler puts messages for those that are
// queued again.
func (n *node) act(ctx context.Context, verb ledger.Verb, by string, ids []string) ([]ledger.Acted, error) {
	targets := make([]ledger.Target, 0, len(ids))
	for _, id := range ids {
		targets = append(targets, ledger.Target{ID: id})
	}
	return n.ledger.Act(ctx, verb, by, targets)
}
