package dispatch

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// documents checks job documents and records them in the ledger.
type documents struct {
	ledger   *ledger.Ledger
	decode   func(document []byte) (jobs.Job, error)
	programs *knownPrograms
	sender   *sender
	events   *eventRecorder
}

// check decodes a document and makes sure that its program is known. If the error
// is an *unknownProgram, the rest of the document is valid.
func (d *documents) check(ctx context.Context, document []byte) (jobs.Job, error) {
	job, err := d.decode(document)
	if err != nil {
		return jobs.Job{}, err
	}
	return job, d.programs.check(ctx, job.Program)
}

// record writes entries in one transaction and sends messages for those that are
// runnable. A failure to send is only logged: the reconciler sends them later.
func (d *documents) record(ctx context.Context, entries []ledger.Entry) ([]ledger.Accepted, error) {
	var accepted []ledger.Accepted
	err := panics.Call(func() (err error) { accepted, err = d.ledger.Accept(ctx, entries); return err })
	if err != nil {
		return nil, err
	}
	fresh := make([]ledger.Record, 0, len(accepted))
	for _, a := range accepted {
		if a.New {
			fresh = append(fresh, a.Record)
		}
	}
	if err := panics.Call(func() error { return d.sender.send(ctx, fresh) }); err != nil {
		d.events.log.Warn("jobs are recorded but not yet on their run tubes; the reconciler will put them", "jobs", len(fresh), "err", err)
	}
	return accepted, nil
}

// repaired returns the job of a document whose fault is gone, for instance because
// its program has been installed since. awaits is set for a job that was cancelled
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
	case err != nil || found.ID != id || !faulty:
		return nil, ""
	}
	return &found, ""
}
