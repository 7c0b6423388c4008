package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/store"
)

// leftCheckpoints removes the objects of checkpoints that are not wanted any more, and finds
// those that a kill has left.
type leftCheckpoints struct {
	ledger *checkpoints.Checkpoints
	store  *store.Store
	looked checkpoints.Key // how far the search has come
}

// remove looks at some checkpoints, and removes the objects of those that were dropped until
// a time. Those that cannot be removed are left for the next round.
func (l *leftCheckpoints) remove(ctx context.Context, end time.Time) (err error) {
	if l.looked, err = l.ledger.Look(ctx, l.looked); err != nil {
		return err
	}
	d := dropped[checkpoints.Checkpoint]{
		page: func(ctx context.Context, after checkpoints.Checkpoint) ([]checkpoints.Checkpoint, error) {
			return l.ledger.Dropped(ctx, checkpoints.Key{Job: after.Job, Number: after.Number})
		},
		forget: l.ledger.Forget,
		remove: func(ctx context.Context, c checkpoints.Checkpoint) error {
			if err := l.store.Delete(ctx, store.CheckpointKey(c.Job, c.Attempt, c.Number)); err != nil {
				return fmt.Errorf("a checkpoint of job %s: %w", c.Job, err)
			}
			return nil
		},
	}
	return d.run(ctx, end)
}
