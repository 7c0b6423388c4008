package dispatch

import (
	"context"
	"errors"
	"slices"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// Act does what a person asks of jobs and puts messages for those that are
// queued again. by names who asks. What became of each is in the Acted with the
// same index; the error is for all.
func (d *Dispatcher) Act(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error) {
	again := verb == ledger.VerbRetry || verb == ledger.VerbReset
	if again {
		targets = slices.Clone(targets)
		for i := range targets {
			targets[i].Job, targets[i].Awaits = d.repaired(ctx, targets[i].ID)
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
	if err := d.Send(ctx, queued); err != nil {
		d.log.Warn("jobs are queued again but not yet on their run tubes; the reconciler will put them", "jobs", len(queued), "err", err)
	}
	return acted, nil
}

// repaired is a job whose document had a fault that is gone: its program has
// been installed since. awaits is for one that was cancelled while it waited for
// its program, and says that no node has announced that yet.
func (d *Dispatcher) repaired(ctx context.Context, id string) (job *jobs.Job, awaits string) {
	r, err := d.cfg.Ledger.Get(ctx, id)
	if err != nil || !r.State.Final() || r.State == jobs.Succeeded || r.Attempt > 0 {
		return nil, ""
	}
	d.known.doubt()
	found, err := d.check(ctx, r.Document)
	var unknown *unknownProgram
	switch faulty := r.Error != nil && r.Error.Class == jobs.ClassDocument; {
	case errors.As(err, &unknown) && !faulty:
		return nil, unknown.Error()
	case err != nil || found.ID != id || !faulty:
		return nil, ""
	}
	return &found, ""
}
