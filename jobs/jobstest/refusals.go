package jobstest

import (
	"context"
	"errors"
	"sync"

	"github.com/runnerbean/runnerbean/jobs"
)

// refusals make a client fail. They stand around its puts, because a client hides most
// faults of a server: it tries again.
type refusals struct {
	mu   sync.Mutex
	left int
	with error
}

func (r *refusals) set(n int, with error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.with = n, with
}

// next returns the error of the next put, or nil.
func (r *refusals) next() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left <= 0 {
		return nil
	}
	r.left--
	return r.with
}

// wrap is the Config.Wrap of clients. Jobs that may be put are put.
func (r *refusals) wrap(put jobs.EnqueueFunc) jobs.EnqueueFunc {
	return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued {
		refused := r.next()
		switch {
		case refused == nil:
			return put(ctx, batch)
		case errors.Is(refused, jobs.ErrMaybePut):
			batch = jobsOf(put(ctx, batch))
		}
		all := make([]jobs.Enqueued, len(batch))
		for i, job := range batch {
			all[i] = jobs.Enqueued{Job: job, Err: refused}
		}
		return all
	}
}

func jobsOf(put []jobs.Enqueued) []jobs.Job {
	list := make([]jobs.Job, len(put))
	for i, e := range put {
		list[i] = e.Job
	}
	return list
}
