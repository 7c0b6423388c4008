package dispatch

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// documents checks job documents and records them in the ledger.
type documents struct {
	ledger   *ledger.Ledger
	accept   acceptFunc // of the ledger
	decode   func(document []byte) (jobs.Job, error)
	programs *knownPrograms
	sender   *sender
	events   *eventRecorder
}

// acceptFunc is [ledger.AcceptEarly] of a ledger.
type acceptFunc func(ctx context.Context, entries []ledger.Entry, committed func([]ledger.Accepted)) ([]ledger.Accepted, error)

func acceptOf(l *ledger.Ledger) acceptFunc {
	return func(ctx context.Context, entries []ledger.Entry, committed func([]ledger.Accepted)) ([]ledger.Accepted, error) {
		return ledger.AcceptEarly(ctx, l, entries, committed)
	}
}

// check decodes a document and makes sure that its program is known. If the error
// is an *unknownProgram, the rest of the document is valid.
func (d *documents) check(ctx context.Context, document []byte) (jobs.Job, error) {
	job, err := d.decode(document)
	if err != nil {
		return jobs.Job{}, err
	}
	if job.Program == jobs.BatchProgram {
		return job, nil // each node has it
	}
	return job, d.programs.check(ctx, job.Program)
}

// record writes entries in one transaction. While the disk takes it, record puts messages for
// those that are runnable: after a power cut in that moment they name jobs that the ledger
// does not know, and the documents come again. A failure to send is only logged: the
// reconciler sends them later.
func (d *documents) record(ctx context.Context, entries []ledger.Entry) (accepted []ledger.Accepted, err error) {
	err = panics.Call(func() (err error) {
		accepted, err = d.accept(ctx, entries, func(committed []ledger.Accepted) { d.send(ctx, committed) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return accepted, nil
}

// send puts messages for the runnable jobs among those that are new.
func (d *documents) send(ctx context.Context, accepted []ledger.Accepted) {
	fresh := make([]ledger.Record, 0, len(accepted))
	for _, a := range accepted {
		if a.New {
			fresh = append(fresh, a.Record)
		}
	}
	if err := panics.Call(func() error { return d.sender.send(ctx, fresh) }); err != nil {
		d.events.log.Warn("jobs are recorded but not yet on their run tubes; the reconciler will put them", "jobs", len(fresh), "err", err)
	}
}

// repaired returns the job of a document whose fault is gone, for instance because
// its program has been installed, or its files have been sent since. awaits is set for a job that was cancelled
// while it waited for its program, and says that no node has announced it yet.
func (d *documents) repaired(ctx context.Context, id string) (job *jobs.Job, awaits string) {
	r, err := d.ledger.Get(ctx, id)
	if err != nil || !r.State.Final() || r.State == jobs.Succeeded || r.Attempt > 0 {
		return nil, ""
	}
	d.programs.invalidate()
	found, err := d.check(ctx, r.Document)
	var unknown *unknownProgram
	switch faulty := r.Error != nil && r.Error.Class == jobs.ClassDocument; {
	case errors.As(err, &unknown) && !faulty:
		return nil, unknown.Error()
	case err != nil || found.ID != id || !faulty || d.use(ctx, &found) != nil:
		return nil, ""
	}
	return &found, ""
}

// use records which files in the store a job uses, before the job is recorded. The error is a
// *[packages.Missing] if the store does not have all of them.
func (d *documents) use(ctx context.Context, job *jobs.Job) error {
	digests, err := jobdoc.StoredFiles(job)
	if err != nil || len(digests) == 0 {
		return err
	}
	return d.ledger.Packages.Use(ctx, job.ID, digests)
}

// useOf is use for a document of an inbox: a job fails if the store does not have its files.
func (d *documents) useOf(ctx context.Context, entry *ledger.Entry) error {
	if entry.Fault != nil {
		return nil
	}
	err := panics.Call(func() error { return d.use(ctx, &entry.Job) })
	if missing, ok := errors.AsType[*packages.Missing](err); ok {
		entry.Fault, err = &jobs.Error{Class: jobs.ClassDocument, Message: missing.Error() + "; send the files first, with POST /api/v1/batches"}, nil
	}
	return err
}

// checkBatch makes sure that the programs of a batch are known.
func (d *documents) checkBatch(ctx context.Context, job *jobs.Job) error {
	batch, _, err := jobdoc.Batch(job, nil)
	if err != nil {
		return err
	}
	parts := map[string]*jobs.Job{"/input/data/job/program": &batch.Job, "/input/data/bundle/program": batch.Bundle}
	for pointer, part := range parts {
		if part == nil {
			continue
		}
		err := d.programs.check(ctx, part.Program)
		var unknown *unknownProgram
		if errors.As(err, &unknown) {
			return &jobs.Fault{Pointer: pointer, Message: unknown.Error(), ID: job.ID, Program: job.Program, ResultURL: job.Result.URL}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
