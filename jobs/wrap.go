package jobs

import (
	"context"
	"fmt"
)

// Enqueued is what became of one job of a batch.
type Enqueued struct {
	// Job is the job with what was filled in.
	Job Job
	// Err is nil if the job was put. Otherwise it is what [Client.Enqueue] returns.
	Err error
}

// EnqueueFunc puts jobs and returns what became of each, in the order of the batch. See
// [Config.Wrap].
//
// The jobs have their ids, times and result URLs, and a function around another one may
// change them. [Client.Enqueue] calls it with one job, [Client.EnqueueBatch] with all of the
// batch. A function that does not hand a job on returns it with an error of its own, which
// then is [ErrNotPut] too. A panic reaches the caller of Enqueue.
type EnqueueFunc func(ctx context.Context, batch []Job) []Enqueued

// checked returns f with outcomes on which callers can rely.
func checked(f EnqueueFunc) EnqueueFunc {
	return func(ctx context.Context, batch []Job) []Enqueued {
		all := f(ctx, batch)
		if len(all) != len(batch) {
			err := fmt.Errorf("%w: Config.Wrap has returned %d outcomes for %d jobs", ErrMaybePut, len(all), len(batch))
			all = make([]Enqueued, len(batch))
			for i, job := range batch {
				all[i] = Enqueued{Job: job, Err: enqueueFailed(ctx, job.ID, err)}
			}
		}
		for i := range all {
			e := &all[i]
			if e.Job.ID == "" { // refused without a word about the job
				e.Job = batch[i]
			}
			if e.Err != nil && !isPutError(e.Err) {
				e.Err = enqueueFailed(ctx, e.Job.ID, fmt.Errorf("%w: %w", ErrNotPut, e.Err))
			}
		}
		return all
	}
}
