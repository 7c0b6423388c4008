package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	var failed error
	for after := (checkpoints.Key{}); time.Now().Before(end); {
		began := time.Now()
		page, err := l.ledger.Dropped(ctx, after)
		if err != nil || len(page) == 0 {
			return errors.Join(failed, err)
		}
		last := page[len(page)-1]
		after = checkpoints.Key{Job: last.Job, Number: last.Number}
		var removed []checkpoints.Checkpoint
		for _, c := range page {
			err := l.store.Delete(ctx, store.CheckpointKey(c.Job, c.Attempt, c.Number))
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				removed = append(removed, c)
				continue
			}
			failed = cmp.Or(failed, fmt.Errorf("a checkpoint of job %s: %w", c.Job, err)) // the first one is enough
		}
		if len(removed) > 0 {
			if err := l.ledger.Forget(ctx, removed); err != nil {
				return err
			}
		}
		if !step(ctx, began) {
			return ctx.Err()
		}
	}
	return failed
}
