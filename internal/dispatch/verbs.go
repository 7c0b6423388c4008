package dispatch

import (
	"context"
	"slices"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// Act applies a verb to jobs, and puts messages for those that are queued again. The
// argument by is the name of the person. The result for each target has the same index.
// The error concerns the whole call.
func (d *Dispatcher) Act(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error) {
	again := verb == ledger.VerbRetry || verb == ledger.VerbReset
	if again {
		targets = slices.Clone(targets)
		for i := range targets {
			targets[i].Job, targets[i].Awaits = d.documents.repaired(ctx, targets[i].ID)
		}
	}
	acted, err := d.cfg.Ledger.Act(ctx, verb, by, targets)
	if err != nil || !again {
		return acted, err
	}
	queued := make([]ledger.Record, 0, len(acted))
	for _, a := range acted {
		if a.Err == nil {
			queued = append(queued, a.Record)
		}
	}
	d.sendAgain(ctx, queued)
	return acted, nil
}

// Revive makes one step of [ledger.Dependents.Revive], and puts messages for the jobs that
// are queued again.
func (d *Dispatcher) Revive(ctx context.Context) (ledger.Revived, error) {
	step, err := d.cfg.Ledger.Dependents.Revive(ctx)
	d.sendAgain(ctx, step.Jobs)
	return step, err
}

func (d *Dispatcher) sendAgain(ctx context.Context, list []ledger.Record) {
	if err := d.sender.send(ctx, list); err != nil {
		d.cfg.Logger.Warn("jobs are queued again but not yet on their run tubes; the reconciler will put them", "jobs", len(list), "err", err)
	}
}
