package operations

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

const (
	// reviveTime is how long one call waits for dependents to be queued again. The nodes
	// go on with the rest.
	reviveTime = 10 * time.Second
	// maxLeft bounds the dependents that are counted as left.
	maxLeft = 20_000
)

// revive queues the dependents of retried jobs again, and counts them. An error ends it: the
// nodes go on.
func (o *Operations) revive(ctx context.Context, v Verb) *api.Dependents {
	d := &api.Dependents{Left: []api.Refusal{}}
	left := map[string]ledger.Acted{}
	for end := time.Now().Add(reviveTime); ; {
		step, err := o.cfg.Revive(ctx)
		for _, rec := range step.Jobs {
			delete(left, rec.ID)
		}
		for _, a := range step.Left {
			if len(left) < maxLeft && !errors.Is(a.Err, ledger.ErrNotEnded) {
				left[a.ID] = a
			}
		}
		d.Retried += len(step.Jobs)
		if err != nil {
			o.cfg.Logger.Error("the dependents of retried jobs are not all queued again yet; the nodes go on with them", "done", d.Retried, "err", err)
		}
		if d.Pending = err != nil || step.More; !step.More || err != nil || time.Now().After(end) {
			break
		}
	}
	d.LeftCount = len(left)
	for _, a := range left {
		if len(d.Left) == maxRefusals {
			break
		}
		detail, known := v.advice(a)
		if !known {
			detail = notDone
		}
		d.Left = append(d.Left, api.Refusal{ID: a.ID, Detail: detail})
	}
	return d
}
