package dispatch

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// Accept is the durable door: it returns after the ledger's commit, or *[Held]
// while no new jobs are accepted. submitter is the name of the token that sent
// the document, or empty. A document with a fault gets a *[jobs.Fault]
// and is not recorded; an id that is known
// with another document has Accepted.Err set to [ledger.ErrConflict].
func (d *Dispatcher) Accept(ctx context.Context, document []byte, submitter string) (ledger.Accepted, error) {
	if err := d.hold.err(); err != nil {
		return ledger.Accepted{}, err
	}
	job, err := d.check(ctx, document)
	var unknown *unknownProgram
	if errors.As(err, &unknown) {
		err = &jobs.Fault{
			Pointer: "/program", Message: unknown.Error(),
			ID: job.ID, Program: job.Program, ResultURL: job.Result.URL,
		}
	}
	if err != nil {
		return ledger.Accepted{}, err
	}
	accepted, err := d.record(ctx, []ledger.Entry{{Job: job, Document: document, Submitter: submitter}})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return accepted[0], nil
}

// check decodes a document and makes sure that its program is known. With an
// *unknownProgram, nothing else is wrong with it.
func (d *Dispatcher) check(ctx context.Context, document []byte) (jobs.Job, error) {
	job, err := d.cfg.decode(document)
	if err != nil {
		return jobs.Job{}, err
	}
	return job, d.known.check(ctx, job.Program)
}

// record writes entries in one transaction and sends hints for those that are
// runnable. Once they are recorded a failure to send is no failure: the
// reconciler sends them later.
func (d *Dispatcher) record(ctx context.Context, entries []ledger.Entry) ([]ledger.Accepted, error) {
	var accepted []ledger.Accepted
	err := panics.Call(func() (err error) { accepted, err = d.cfg.Ledger.Accept(ctx, entries); return err })
	if err != nil {
		return nil, err
	}
	fresh := make([]ledger.Record, 0, len(accepted))
	for _, a := range accepted {
		if a.New {
			fresh = append(fresh, a.Record)
		}
	}
	if err := panics.Call(func() error { return d.Send(ctx, fresh) }); err != nil {
		d.log.Warn("jobs are recorded but not yet on their run tubes; the reconciler will put them", "jobs", len(fresh), "err", err)
	}
	return accepted, nil
}
