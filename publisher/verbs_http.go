package publisher

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// postVerb applies a verb to one job.
func (p *Publisher) postVerb(v operations.Verb) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := httpio.JobIDParam(c)
		if err != nil {
			return err
		}
		body, asNew, err := readVerb(c, v)
		if err != nil {
			return err
		}
		if asNew {
			return p.rerun(c, id)
		}
		return p.once(c, body, func(ctx context.Context) (int, any, error) {
			target, err := p.target(ctx, httpio.IfMatch(c.Request()), id)
			if err != nil {
				return 0, nil, err
			}
			rec, err := p.ops.Apply(ctx, v, target, auth.CallerOf(c).By)
			if err != nil {
				return 0, nil, err
			}
			answer, err := p.statusOf(ctx, rec)
			return http.StatusAccepted, answer, err
		})
	}
}

// statusOf returns the document of a job to which a verb was applied. Where it cannot be
// read, the answer is what the record says.
func (p *Publisher) statusOf(ctx context.Context, rec ledger.Record) (json.RawMessage, error) {
	d := p.read(ctx, rec.ID)
	switch {
	case d.err != nil:
		return httpio.Marshal(readmodel.Summary(rec, time.Now()))
	case len(d.result.Partial) == 0:
		return d.body, nil
	}
	short := d.result
	short.Partial = nil // it is large, and the request did not ask for it
	return httpio.Marshal(short)
}

// target returns the job that a request is about, in the state that its If-Match field
// names.
func (p *Publisher) target(ctx context.Context, wanted httpio.Precondition, id string) (ledger.Target, error) {
	target := ledger.Target{ID: id}
	if !wanted.Specific() {
		return target, nil
	}
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if err == nil && !wanted.Holds(httpio.Version(rec.Updated)) {
		err = engine.ErrChanged
	}
	target.Updated = rec.Updated
	return target, err
}

// readVerb reads the body of a verb for one job. It may be empty; only retry has a
// member.
func readVerb(c echo.Context, v operations.Verb) (body []byte, asNew bool, err error) {
	body, err = httpio.ReadOptionalBody(c)
	if err != nil || len(body) == 0 {
		return nil, false, err
	}
	if v.Name != ledger.VerbRetry {
		return body, false, httpio.DecodeObject(body, &struct{}{})
	}
	var order struct {
		AsNew bool `json:"as_new"`
	}
	err = httpio.DecodeObject(body, &order)
	return body, order.AsNew, err
}

// rerun runs a job that has ended again, as a new job.
func (p *Publisher) rerun(c echo.Context, id string) error {
	if err := p.ops.TakesJobs(); err != nil {
		return err
	}
	key, err := idempotencyKey(c.Request())
	if err != nil {
		return err
	}
	caller := auth.CallerOf(c)
	accepted, err := p.ops.Rerun(c.Request().Context(), id, operations.NewJobID(caller, key, id), caller.By)
	if err != nil {
		return err
	}
	return p.sendAccepted(c, accepted)
}

// maxSelection is the size in bytes of the largest selection: a thousand ids.
const maxSelection = 64 << 10

// postSelection applies a verb to the jobs that a selection finds, a bounded number in
// each call.
func (p *Publisher) postSelection(v operations.Verb) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, err := httpio.ReadBody(c, maxSelection)
		if err != nil {
			return err
		}
		var order api.Selection
		if err := httpio.DecodeObject(body, &order); err != nil {
			return err
		}
		s, err := operations.SelectionOf(v, order)
		if err != nil {
			return err
		}
		return p.once(c, body, func(ctx context.Context) (int, any, error) {
			answer, err := p.ops.Select(ctx, s, order.Limit, order.DryRun, auth.CallerOf(c).By)
			return http.StatusOK, answer, err
		})
	}
}
