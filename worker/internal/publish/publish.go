// Package publish publishes the result of a job: once, whatever attempts of the job run at
// the same time, and never changed afterwards. The ledger takes a small result in the
// transaction that ends the attempt. A larger one is an object of the store before that.
//
// Only the newest attempt can end its job, which then has no other. Readers ask the ledger
// before the store. So a job has one result if two of its attempts come to their end:
//   - Both small: the ledger compares the attempt number and takes one of them.
//   - Both large: the first object stays. The fence is asked before each is created.
//   - The older large, the newer small: the object is adopted, or it comes after the newer
//     attempt has looked. Then nobody reads it, and the later of the two removes it.
//   - The older small, the newer large: the older one cannot end the job, so the ledger has
//     no result and the object is the only one.
package publish

import (
	"context"
	"errors"
	"io/fs"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// Publish makes the output of a run the result of the job. It only composes a small one,
// see Result. The first larger one wins: if there is another one, this one is compared with
// it. An attempt that is not the newest creates nothing and gets fault.ErrStale.
func (p *Publication) Publish(ctx context.Context, r *Run) error {
	p.deterministic = r.Deterministic
	document, err := p.compose(ctx, r)
	if err != nil {
		p.drop(context.WithoutCancel(ctx), p.stored)
		return err
	}
	if len(document) <= p.cfg.LedgerResults {
		p.result = document
		return nil
	}
	return p.create(ctx, document)
}

// create publishes a result as an object.
func (p *Publication) create(ctx context.Context, document []byte) error {
	if err := p.fence(ctx); err != nil {
		if errors.Is(err, fault.ErrStale) {
			p.keepStale(ctx, document)
		}
		return err
	}
	err := p.persist(ctx, func() error {
		return p.cfg.Store.Create(ctx, store.ResultKey(p.Job.ID), document)
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return p.compareWithFirst(ctx, document)
	case err != nil:
		return fault.OfNode("the result cannot be stored", err)
	}
	p.done = true
	p.compareEarlier(ctx, document)
	return nil
}

// Recorded is called once the ledger has taken Result. It compares what earlier attempts
// left with it.
func (p *Publication) Recorded(ctx context.Context) { p.compareEarlier(ctx, p.result) }

// Stale is called if the ledger has not recorded the end of the attempt, because it is not
// the newest one. It compares the result of the attempt with that of the job.
func (p *Publication) Stale(ctx context.Context) {
	if p.result != nil {
		p.keepStale(ctx, p.result)
	}
	if !p.done {
		return
	}
	if _, winner, err := p.readRecorded(ctx); err == nil {
		p.removeStray(ctx, winner)
	}
}
