package dispatch

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// Accept records a document and returns after the ledger's commit. submitter is
// the name of the token that sent it, or "". Accept returns a *[Held] while no new
// jobs are accepted, and a *[jobs.Fault] for a document with a fault, which is not
// recorded. If the id is known with another document, Accepted.Err is
// [ledger.ErrConflict].
func (d *Dispatcher) Accept(ctx context.Context, document []byte, submitter string) (ledger.Accepted, error) {
	if err := d.gate.err(); err != nil {
		return ledger.Accepted{}, err
	}
	job, err := d.documents.check(ctx, document)
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
	accepted, err := d.documents.record(ctx, []ledger.Entry{{Job: job, Document: document, Submitter: submitter}})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return accepted[0], nil
}
