package results

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// Read makes the document of a job as it stands now. An unknown job is
// [ledger.ErrUnknown], unless the store has its result.
func (docs *Documents) Read(ctx context.Context, id string) *document {
	d := docs.readOnce(ctx, id)
	if d.err == nil && d.state == jobs.Queued && d.result.Position == nil && d.result.NotBefore.IsZero() {
		return docs.readOnce(ctx, id) // it may have left the queue between two questions
	}
	return d
}

// Get returns how a job stands now, and that as JSON.
func (docs *Documents) Get(ctx context.Context, id string) (jobs.Result, []byte, error) {
	d := docs.Read(ctx, id)
	return d.result, d.body, d.err
}

func (docs *Documents) readOnce(ctx context.Context, id string) *document {
	d := &document{id: id}
	d.err = panics.Call(func() error {
		rec, err := docs.ledger.Get(ctx, id)
		switch {
		case err != nil:
			return docs.readOrphan(ctx, d, err)
		case rec.State == jobs.Succeeded:
			return docs.readSuccess(ctx, d, rec)
		}
		return docs.readStatus(ctx, d, rec)
	})
	return d
}

func (docs *Documents) readStatus(ctx context.Context, d *document, rec ledger.Record) error {
	r, err := docs.jobs.Status(ctx, rec)
	if err != nil {
		return err
	}
	return d.render(r)
}

// readSuccess makes the document of a success: the stored bytes, or, where
// they are large, the record without the result.
func (docs *Documents) readSuccess(ctx context.Context, d *document, rec ledger.Record) error {
	s, err := docs.stored(ctx, rec.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", httpio.ErrMissing, rec.ID)
	}
	if err != nil {
		return err
	}
	return d.take(s, readmodel.Summary(rec, rec.Finished))
}

// readOrphan looks for the result of a job that the ledger does not know, as
// after it was restored from an older copy. It returns err where there is none.
func (docs *Documents) readOrphan(ctx context.Context, d *document, err error) error {
	if !errors.Is(err, ledger.ErrUnknown) || errors.Is(err, retention.ErrDeleted) {
		return err
	}
	s, missing := docs.stored(ctx, d.id)
	if missing != nil {
		return err
	}
	return d.take(s, jobs.Result{ID: d.id, State: jobs.Succeeded, Timestamp: s.modified})
}
