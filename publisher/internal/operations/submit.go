package operations

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// TakesJobs returns a problem where this node takes no jobs.
func (o *Operations) TakesJobs() error {
	if o.cfg.Accept == nil {
		return forbidden("this node takes no jobs")
	}
	return nil
}

// Open returns why no job is accepted now, or nil.
func (o *Operations) Open(ctx context.Context) error {
	if err := o.TakesJobs(); err != nil {
		return err
	}
	_, err := o.cfg.Accept(ctx, nil, "")
	return err
}

// Accept records a complete document. by names who submits it. The error is also that of
// the document.
func (o *Operations) Accept(ctx context.Context, document []byte, by string) (ledger.Accepted, error) {
	if err := o.TakesJobs(); err != nil {
		return ledger.Accepted{}, err
	}
	return first(o.cfg.Accept(ctx, [][]byte{document}, by))
}

// first returns the answer to the only document.
func first(all []ledger.Accepted, err error) (ledger.Accepted, error) {
	if err != nil {
		return ledger.Accepted{}, err
	}
	return all[0], all[0].Err
}

// Submit is SubmitAll for one document. The error is also that of the document.
func (o *Operations) Submit(ctx context.Context, caller auth.Caller, document []byte, id, traceparent string) (ledger.Accepted, error) {
	return first(o.SubmitAll(ctx, caller, [][]byte{document}, []string{id}, traceparent))
}

// SubmitAll completes the documents of a request and records them in one transaction. ids
// are the ids of the jobs of which the documents have none. There is an answer to each, in
// order; its Err says why a document was not recorded. The error is for all of them.
func (o *Operations) SubmitAll(ctx context.Context, caller auth.Caller, documents [][]byte, ids []string, traceparent string) ([]ledger.Accepted, error) {
	if err := o.TakesJobs(); err != nil {
		return nil, err
	}
	complete := make([][]byte, len(documents))
	now := time.Now()
	for i, document := range documents {
		var err error
		complete[i], err = jobdoc.Defaults{ID: ids[i], Base: o.cfg.BaseURL, Now: now, Traceparent: traceparent}.Complete(document)
		if err != nil {
			complete[i] = document // is refused with the same fault
		}
	}
	all, err := o.cfg.Accept(ctx, complete, caller.By)
	for i := range all {
		all[i].Err = o.outcome(ctx, caller, all[i], ids[i])
	}
	return all, err
}

// outcome returns what the caller learns of a document that was not recorded. id is the one
// that the job has got where its document has none.
func (o *Operations) outcome(ctx context.Context, caller auth.Caller, accepted ledger.Accepted, id string) error {
	if errors.Is(accepted.Err, retention.ErrDeleted) {
		return httpio.Problem(http.StatusConflict, accepted.Err.Error()+"; submit it under a new id to run it again")
	}
	if accepted.Record.ID != "" {
		if err := o.hidden(ctx, caller, accepted); err != nil {
			return err
		}
	}
	if errors.Is(accepted.Err, ledger.ErrConflict) && accepted.Record.ID == id {
		return errOtherRequest // the id was derived from an idempotency key
	}
	return accepted.Err
}

// hidden returns ErrConflict for a job that was known already and that the caller,
// with the role submit, may not read.
func (o *Operations) hidden(ctx context.Context, caller auth.Caller, accepted ledger.Accepted) error {
	if caller.Role != auth.Submit || accepted.New {
		return nil
	}
	submitter, err := o.cfg.Ledger.Submitter(ctx, accepted.Record.ID)
	if err == nil && submitter != caller.Name {
		err = ledger.ErrConflict
	}
	return err
}

// Rerun submits the job id again, as a new job with newID.
func (o *Operations) Rerun(ctx context.Context, id, newID, by string) (ledger.Accepted, error) {
	if err := o.TakesJobs(); err != nil {
		return ledger.Accepted{}, err
	}
	document, err := o.rerunDocument(ctx, id, newID)
	if err != nil {
		return ledger.Accepted{}, err
	}
	return first(o.cfg.Accept(ctx, [][]byte{document}, by))
}

func (o *Operations) rerunDocument(ctx context.Context, id, newID string) ([]byte, error) {
	rec, err := o.cfg.Ledger.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !rec.State.Final() {
		return nil, httpio.Problem(http.StatusConflict, fmt.Sprintf("the job has not come to its end: it is %s; wait for that", rec.State))
	}
	job, err := jobdoc.Decode(rec.Document)
	if err != nil {
		return nil, err
	}
	return httpio.Marshal(rerun(job, newID, time.Now()))
}
