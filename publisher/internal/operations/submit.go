package operations

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
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

// Accept records a complete document. by names who submits it.
func (o *Operations) Accept(ctx context.Context, document []byte, by string) (ledger.Accepted, error) {
	if err := o.TakesJobs(); err != nil {
		return ledger.Accepted{}, err
	}
	return o.cfg.Accept(ctx, document, by)
}

// Submit completes the document of a request and records it. id is the id of the job
// where the document has none.
func (o *Operations) Submit(ctx context.Context, caller auth.Caller, document []byte, id, traceparent string) (ledger.Accepted, error) {
	complete, err := jobs.Defaults{ID: id, Base: o.cfg.BaseURL, Now: time.Now(), Traceparent: traceparent}.Complete(document)
	if err != nil {
		return ledger.Accepted{}, err
	}
	accepted, err := o.Accept(ctx, complete, caller.By)
	if err == nil && errors.Is(accepted.Err, retention.ErrDeleted) {
		return accepted, httpio.Problem(http.StatusConflict, accepted.Err.Error()+"; submit it under a new id to run it again")
	}
	if err == nil {
		err = o.hidden(ctx, caller, accepted)
	}
	if err != nil || accepted.Err == nil || o.sameAgain(document, id, accepted.Record) {
		return accepted, err
	}
	if errors.Is(accepted.Err, ledger.ErrConflict) && accepted.Record.ID == id {
		return accepted, errOtherRequest // the id was derived from an idempotency key
	}
	return accepted, accepted.Err
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

// sameAgain reports whether the ledger holds the same document. The time of creation
// and the trace may differ: each request without them is given new ones. A document from
// the inbox is given none.
func (o *Operations) sameAgain(document []byte, id string, rec ledger.Record) bool {
	if bytes.Equal(document, rec.Document) {
		return true
	}
	var had struct{ Traceparent string }
	_ = json.Unmarshal(rec.Document, &had)
	complete, err := jobs.Defaults{ID: id, Base: o.cfg.BaseURL, Now: rec.Created, Traceparent: had.Traceparent}.Complete(document)
	return err == nil && bytes.Equal(complete, rec.Document)
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
	accepted, err := o.cfg.Accept(ctx, document, by)
	if err == nil && !isRerun(accepted.Record, id) {
		err = accepted.Err
	}
	return accepted, err
}

// isRerun reports whether a job repeats the job id. The document of a repeated
// request differs from the first one by its time, so that documents are not compared.
func isRerun(rec ledger.Record, id string) bool {
	var doc struct {
		RerunOf string `json:"rerun_of"`
	}
	return json.Unmarshal(rec.Document, &doc) == nil && doc.RerunOf == id
}

func (o *Operations) rerunDocument(ctx context.Context, id, newID string) ([]byte, error) {
	rec, err := o.cfg.Ledger.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !rec.State.Final() {
		return nil, httpio.Problem(http.StatusConflict, fmt.Sprintf("the job has not come to its end: it is %s; wait for that", rec.State))
	}
	job, err := jobs.Decode(rec.Document)
	if err != nil {
		return nil, err
	}
	return httpio.Marshal(job.RerunAs(newID, time.Now()))
}
