package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// Accept records documents in one transaction and returns after the ledger's commit, with
// an answer to each, in order. submitter is the name of the token that sent them, or "".
//
// Accepted.Err is a *[jobs.Fault] for a document with a fault, a *[packages.Missing] if the store
// does not have the files that it names, and [ledger.ErrConflict] if its id is known with another
// document. Neither holds up the others. The error is for all
// of them, and nothing is recorded then: a *[Held] while no new jobs are accepted, and a
// *[jobs.Fault] if two have the same id.
func (d *Dispatcher) Accept(ctx context.Context, documents [][]byte, submitter string) ([]ledger.Accepted, error) {
	if err := d.gate.err(); err != nil {
		return nil, err
	}
	answers := make([]ledger.Accepted, len(documents))
	entries, at := make([]ledger.Entry, 0, len(documents)), make([]int, 0, len(documents))
	places := make(map[string]int, len(documents))
	for i, document := range documents {
		job, err := d.acceptable(ctx, document)
		var fault *jobs.Fault
		var missing *packages.Missing
		switch {
		case errors.As(err, &fault), errors.As(err, &missing), isPanic(err):
			answers[i].Err = err
			continue
		case err != nil:
			return nil, err
		}
		if first, twice := places[job.ID]; twice {
			return nil, &jobs.Fault{
				Pointer: fmt.Sprintf("/%d/id", i), Message: fmt.Sprintf("the id is that of document %d of the array, too", first+1),
			}
		}
		places[job.ID] = i
		entries, at = append(entries, ledger.Entry{Job: job, Document: document, Submitter: submitter}), append(at, i)
	}
	if len(entries) == 0 {
		return answers, nil
	}
	accepted, err := d.documents.record(ctx, entries)
	if err != nil {
		return nil, err
	}
	for k, a := range accepted {
		answers[at[k]] = a
	}
	return answers, nil
}

// acceptable returns the job of a document. A panic is recorded, and is the error then.
func (d *Dispatcher) acceptable(ctx context.Context, document []byte) (job jobs.Job, err error) {
	err = panics.Call(func() (err error) {
		if job, err = d.documents.check(ctx, document); err == nil && job.Program == jobs.BatchProgram {
			err = d.documents.checkBatch(ctx, &job)
		}
		if err == nil {
			err = d.documents.use(ctx, &job)
		}
		return err
	})
	var unknown *unknownProgram
	var caught *panics.Error
	switch {
	case errors.As(err, &unknown):
		return job, &jobs.Fault{
			Pointer: "/program", Message: unknown.Error(),
			ID: job.ID, Program: job.Program, ResultURL: job.Result.URL,
		}
	case errors.As(err, &caught):
		d.documents.events.caught(ctx, "", "document", caught)
	}
	return job, err
}
