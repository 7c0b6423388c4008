package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// verb is what may be asked of jobs over HTTP.
type verb struct {
	name ledger.Verb
	done string // as in "can be cancelled"
	// states are those in which it applies, in the order in which a selection
	// goes through them: a job that moves on meanwhile is met again.
	states []jobs.State
}

var verbs = []verb{
	{ledger.VerbCancel, "cancelled", []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running}},
	{ledger.VerbStop, "stopped", []jobs.State{jobs.Running}},
	{ledger.VerbTerminate, "terminated", []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running}},
	{ledger.VerbRetry, "retried", []jobs.State{jobs.Failed, jobs.Cancelled}},
	{ledger.VerbReset, "reset", []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running, jobs.Failed, jobs.Cancelled}},
}

// postVerb applies a verb to one job.
func (p *Publisher) postVerb(v verb) echo.HandlerFunc {
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
		return p.once(c, body, func() (int, any, error) {
			answer, err := p.doVerb(c, v, id)
			return http.StatusAccepted, answer, err
		})
	}
}

// doVerb applies a verb to one job and returns how that stands now.
func (p *Publisher) doVerb(c echo.Context, v verb, id string) (json.RawMessage, error) {
	target, err := p.target(c, id)
	if err != nil {
		return nil, err
	}
	acted, err := p.actOn(c, v, []ledger.Target{target})
	if err != nil {
		return nil, err
	}
	if acted[0].Err != nil {
		return nil, v.refusal(acted[0])
	}
	d := p.read(c.Request().Context(), id)
	switch {
	case d.err != nil: // the verb is done all the same
		return httpio.Marshal(summary(acted[0].Record, time.Now()))
	case len(d.result.Partial) == 0:
		return d.body, nil
	}
	short := d.result
	short.Partial = nil // it is large, and nobody has asked for it
	return httpio.Marshal(short)
}

// target is the job that a request is about, in the state that its If-Match
// field names.
func (p *Publisher) target(c echo.Context, id string) (ledger.Target, error) {
	target := ledger.Target{ID: id}
	wanted := httpio.IfMatch(c.Request())
	if !wanted.Specific() {
		return target, nil
	}
	rec, err := p.cfg.Ledger.Get(c.Request().Context(), id)
	if err == nil && !wanted.Holds(httpio.Version(rec.Updated)) {
		err = ledger.ErrChanged
	}
	target.Updated = rec.Updated
	return target, err
}

// readVerb reads the body of a verb about one job. It may be empty; only a
// retry has something to say in it.
func readVerb(c echo.Context, v verb) (body []byte, asNew bool, err error) {
	body, err = httpio.ReadOptionalBody(c)
	if err != nil || len(body) == 0 {
		return nil, false, err
	}
	if v.name != ledger.VerbRetry {
		return body, false, httpio.DecodeObject(body, &struct{}{})
	}
	var order struct {
		AsNew bool `json:"as_new"`
	}
	err = httpio.DecodeObject(body, &order)
	return body, order.AsNew, err
}

// act applies a verb to jobs, whatever they are now.
func (p *Publisher) act(c echo.Context, v verb, ids []string) ([]ledger.Acted, error) {
	targets := make([]ledger.Target, len(ids))
	for i, id := range ids {
		targets[i].ID = id
	}
	return p.actOn(c, v, targets)
}

func (p *Publisher) actOn(c echo.Context, v verb, targets []ledger.Target) ([]ledger.Acted, error) {
	if p.cfg.Act == nil {
		return nil, httpio.Problem(http.StatusForbidden, fmt.Sprintf("no job can be %s at this node", v.done))
	}
	acted, err := p.cfg.Act(c.Request().Context(), v.name, auth.CallerOf(c).By, targets)
	if err == nil && len(acted) != len(targets) {
		err = fmt.Errorf("publisher: %d of %d jobs are answered for", len(acted), len(targets))
	}
	return acted, err
}

// refusal says why a verb could not be applied to a job, and what to do instead.
func (v verb) refusal(a ledger.Acted) error {
	if errors.Is(a.Err, ledger.ErrUnknown) || errors.Is(a.Err, ledger.ErrChanged) {
		return a.Err
	}
	detail, known := v.advice(a)
	if !known {
		return a.Err
	}
	return httpio.Problem(http.StatusConflict, detail)
}

// advice is the text of a refusal; known is false for an error of another kind.
func (v verb) advice(a ledger.Acted) (detail string, known bool) {
	state := a.Record.State
	switch {
	case errors.Is(a.Err, ledger.ErrUnknown):
		return "no job with this id is known", true
	case errors.Is(a.Err, ledger.ErrFinal) && state == jobs.Succeeded:
		return `the job has succeeded and its result never changes: POST {"as_new": true} to /api/v1/jobs/` + a.ID +
			"/retry to run it again as a new job", true
	case errors.Is(a.Err, ledger.ErrFinal):
		return fmt.Sprintf("the job has already come to its end: %s; it cannot be %s, but retry runs it again", state, v.done), true
	case errors.Is(a.Err, ledger.ErrNotEnded):
		return fmt.Sprintf("the job has not come to its end: it is %s; wait for that, or use reset to let it start over now", state), true
	case errors.Is(a.Err, ledger.ErrNotRunning):
		return fmt.Sprintf("the job does not run: it is %s; use cancel to end it before it starts", state), true
	case errors.Is(a.Err, ledger.ErrNeeds):
		return "the job cannot run as things are: " + reason(a.Err, ledger.ErrNeeds), true
	case errors.Is(a.Err, ledger.ErrDocument):
		return "the job would fail again: " + reason(a.Err, ledger.ErrDocument) + "; submit a corrected document under a new id", true
	}
	return "", false
}

// reason is what an error says beside the sentinel that it wraps.
func reason(err, sentinel error) string {
	return strings.TrimSuffix(err.Error(), ": "+sentinel.Error())
}

// rerun runs a job that has ended again, as a new one.
func (p *Publisher) rerun(c echo.Context, id string) error {
	if p.cfg.Accept == nil {
		return httpio.Problem(http.StatusForbidden, "this node takes no jobs")
	}
	newID, err := p.newID(c, id)
	if err != nil {
		return err
	}
	accepted, err := p.runAgain(c.Request().Context(), id, newID, auth.CallerOf(c).By)
	if err != nil {
		return err
	}
	return p.sendAccepted(c, accepted)
}

// runAgain submits the job id once more, under another id; by says who asks.
func (p *Publisher) runAgain(ctx context.Context, id, newID, by string) (ledger.Accepted, error) {
	document, err := p.rerunDocument(ctx, id, newID)
	if err != nil {
		return ledger.Accepted{}, err
	}
	accepted, err := p.cfg.Accept(ctx, document, by)
	if err == nil && !isRerun(accepted.Record, id) {
		err = accepted.Err
	}
	return accepted, err
}

// isRerun reports whether a job repeats another one: a request that is sent
// again differs from the first by the time in its document.
func isRerun(rec ledger.Record, id string) bool {
	var doc struct {
		RerunOf string `json:"rerun_of"`
	}
	return json.Unmarshal(rec.Document, &doc) == nil && doc.RerunOf == id
}

func (p *Publisher) rerunDocument(ctx context.Context, id, newID string) ([]byte, error) {
	rec, err := p.cfg.Ledger.Get(ctx, id)
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
