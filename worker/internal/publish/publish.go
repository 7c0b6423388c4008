// Package publish stores the result of a job: once, whatever attempts of the job run at
// the same time, and never changed afterwards.
package publish

import (
	"context"
	"errors"
	"io/fs"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// Publish makes the output of a run the result of the job. The first result of a job
// wins: if there is another one, this one is compared with it. An attempt that is not
// the newest publishes nothing and gets fault.ErrStale.
func (p *Publication) Publish(ctx context.Context, r *Run) error {
	document, err := p.compose(ctx, r)
	if err != nil {
		p.drop(context.WithoutCancel(ctx), p.stored)
		return err
	}
	if err := p.fence(ctx); err != nil {
		if errors.Is(err, fault.ErrStale) {
			p.keepStale(ctx, r, document)
		}
		return err
	}
	err = p.persist(ctx, func() error {
		return p.cfg.Store.Create(ctx, store.ResultKey(p.Job.ID), document)
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return p.compareWithFirst(ctx, r, document)
	case err != nil:
		return fault.OfNode("the result cannot be stored", err)
	}
	p.compareStale(ctx, r, document)
	p.done = true
	return nil
}
