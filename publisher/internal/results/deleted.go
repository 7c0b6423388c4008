package results

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// followPause is the pause before deletions are asked for again after an error.
const followPause = time.Second

// forgetDeleted drops a result that was read while its job was deleted, and returns the
// *retention.Deleted. It is called after the result was added to the cache: a deletion
// that comes later is told to Forget.
func (docs *Documents) forgetDeleted(ctx context.Context, id string) error {
	d, err := docs.ledger.Retention.Find(ctx, id)
	if err == nil && d == nil {
		return nil
	}
	docs.cache.remove([]string{id})
	if err == nil {
		err = fmt.Errorf("%w: %w", ledger.ErrUnknown, d)
	}
	return err
}

// Forget drops the results of jobs that have changed: of a job that has succeeded that
// is its deletion, or a loss of its result.
func (docs *Documents) Forget(ids []string) {
	docs.cache.remove(ids)
	docs.store.Copies().ForgetJobs(ids)
}

// FollowDeletions drops the results of jobs that other processes delete, or run again
// because the result is lost, until ctx ends.
// changed has a value after each of their commits.
func (docs *Documents) FollowDeletions(ctx context.Context, changed <-chan struct{}, log *slog.Logger) {
	last := int64(-1)
	var newest *string
	for {
		err := docs.forgetAfter(ctx, &last)
		if err == nil {
			err = docs.forgetLost(ctx, &newest)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("cannot ask which jobs were deleted or run again; results in memory may outlive their jobs", "err", err)
			retry.Sleep(ctx, followPause)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// forgetAfter drops the results of all jobs that were deleted after the last one.
func (docs *Documents) forgetAfter(ctx context.Context, last *int64) error {
	for {
		ids, number, err := docs.ledger.Retention.After(ctx, *last)
		if err != nil {
			return err
		}
		*last = number
		if len(ids) == 0 {
			return nil
		}
		docs.Forget(ids)
	}
}
