package apihttp

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// PostVerb applies a verb to one job.
func (a *API) PostVerb(v operations.Verb) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := httpio.JobIDParam(c)
		if err != nil {
			return err
		}
		body, order, err := readVerb(c, v)
		if err != nil {
			return err
		}
		if order.AsNew {
			return a.rerun(c, id)
		}
		v := v
		if order.MissingResult {
			v = operations.RetryMissing
		}
		return a.once(c, body, func(ctx context.Context) (int, any, error) {
			target, err := a.target(ctx, httpio.IfMatch(c.Request()), id)
			if err != nil {
				return 0, nil, err
			}
			rec, err := a.cfg.Operations.Apply(ctx, v, target, auth.CallerOf(c).By)
			if err != nil {
				return 0, nil, err
			}
			answer, err := a.statusOf(ctx, v, rec)
			return http.StatusAccepted, answer, err
		})
	}
}

// statusOf returns the document of a job to which a verb was applied. Where it cannot be
// read, the answer is what the record says.
func (a *API) statusOf(ctx context.Context, v operations.Verb, rec ledger.Record) (json.RawMessage, error) {
	result, body, err := a.cfg.Document(ctx, rec.ID)
	switch {
	case err != nil:
		return httpio.Marshal(readmodel.Summary(rec, time.Now()))
	case v.Name == ledger.VerbCheckpoint && result.State == jobs.Running:
		result.Reason = "is asked for a checkpoint"
	case len(result.Partial) == 0:
		return body, nil
	}
	result.Partial = nil // it is large, and the request did not ask for it
	return httpio.Marshal(result)
}

// target returns the job that a request is about, in the state that its If-Match field
// names.
func (a *API) target(ctx context.Context, wanted httpio.Precondition, id string) (ledger.Target, error) {
	target := ledger.Target{ID: id}
	if !wanted.Specific() {
		return target, nil
	}
	rec, err := a.cfg.Record(ctx, id)
	if err == nil && !wanted.Holds(httpio.Version(rec.Updated)) {
		err = engine.ErrChanged
	}
	target.Updated = rec.Updated
	return target, err
}

// retryOrder is the body of a retry of one job.
type retryOrder struct {
	AsNew         bool `json:"as_new"`
	MissingResult bool `json:"missing_result"`
}

// readVerb reads the body of a verb for one job. It may be empty; only retry has
// members.
func readVerb(c echo.Context, v operations.Verb) (body []byte, order retryOrder, err error) {
	body, err = httpio.ReadOptionalBody(c)
	if err != nil || len(body) == 0 {
		return nil, order, err
	}
	if v.Name != ledger.VerbRetry {
		return body, order, httpio.DecodeObject(body, &struct{}{})
	}
	err = httpio.DecodeObject(body, &order)
	if err == nil && order.AsNew && order.MissingResult {
		err = httpio.BadMember("/missing_result", "runs the job again under its id, so leave out as_new")
	}
	return body, order, err
}

// rerun runs a job that has ended again, as a new job.
func (a *API) rerun(c echo.Context, id string) error {
	if err := a.cfg.Operations.TakesJobs(); err != nil {
		return err
	}
	key, err := idempotencyKey(c.Request())
	if err != nil {
		return err
	}
	caller := auth.CallerOf(c)
	accepted, err := a.cfg.Operations.Rerun(c.Request().Context(), id, operations.NewJobID(caller, key, id), caller.By)
	if err != nil {
		return err
	}
	return a.sendAccepted(c, accepted)
}
