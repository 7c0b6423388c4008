package publisher

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// maxEvents is how many of a job's events its details show, the newest ones.
const maxEvents = 200

// postJob is the durable door: it answers after the ledger's commit.
func (p *Publisher) postJob(c echo.Context) error {
	if err := p.ops.TakesJobs(); err != nil {
		return err
	}
	body, err := httpio.ReadBody(c, jobs.MaxDocument)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(c.Request())
	if err != nil {
		return err
	}
	caller := auth.CallerOf(c)
	accepted, err := p.ops.Submit(c.Request().Context(), caller, body, operations.NewJobID(caller, key), c.Request().Header.Get("Traceparent"))
	if err != nil {
		return err
	}
	return p.sendAccepted(c, accepted)
}

func (p *Publisher) sendAccepted(c echo.Context, accepted ledger.Accepted) error {
	status := http.StatusOK
	if accepted.New {
		status = http.StatusCreated
	}
	c.Response().Header().Set("Location", p.location(accepted.Record))
	return p.sendDocument(c, status, accepted.Record.ID)
}

// location is the job's result URL: what its document says, which may be
// under another node's address.
func (p *Publisher) location(rec ledger.Record) string {
	var doc struct {
		Result jobs.Target `json:"result"`
	}
	if json.Unmarshal(rec.Document, &doc) == nil && doc.Result.URL != "" {
		return doc.Result.URL
	}
	return p.cfg.BaseURL + "/" + rec.ID
}

// sendDocument answers a request that has changed a job with how it stands now.
func (p *Publisher) sendDocument(c echo.Context, status int, id string) error {
	d := p.read(c.Request().Context(), id)
	if d.err != nil {
		return d.err
	}
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(status, httpio.TypeJSON, d.body)
}

// getJobs lists jobs, newest first.
func (p *Publisher) getJobs(c echo.Context) error {
	filter, err := parseFilter(c.QueryParams())
	if err != nil {
		return err
	}
	page, err := p.list(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, page)
}

func (p *Publisher) list(ctx context.Context, filter listing.Filter) (api.Page, error) {
	found, err := p.cfg.Ledger.List(ctx, filter)
	if err != nil {
		return api.Page{}, err
	}
	now := time.Now()
	page := api.Page{Jobs: make([]jobs.Result, 0, len(found.Jobs)), Next: found.Next, Back: found.Back}
	for _, rec := range found.Jobs {
		r := summary(rec, now)
		if r.Error != nil {
			short := *r.Error
			short.LogTail = ""
			r.Error = &short
		}
		page.Jobs = append(page.Jobs, r)
	}
	return page, nil
}

// getJob tells all that the ledger knows about one job.
func (p *Publisher) getJob(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	details, err := p.details(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if !p.auth.SeesSecrets(c) {
		auth.Redact(&details.Job)
	}
	timeless := details
	timeless.Status.Timestamp = time.Time{} // it is the moment of asking
	return httpio.SendTagged(c, httpio.Version(details.Updated), details, timeless)
}

func attemptsOf(list []ledger.Attempt) []api.Attempt {
	out := make([]api.Attempt, 0, len(list))
	for _, a := range list {
		attempt := api.Attempt{
			Number: a.Number, Node: a.Node, ProgramSHA256: a.ProgramSHA256, Started: a.Started,
			Finished: a.Finished, Outcome: a.Outcome, Message: a.Message, Signal: a.Signal,
			CPUSeconds: a.CPU.Seconds(), MaxRSS: a.MaxRSS, Quarantine: a.Quarantined,
		}
		if !a.Finished.IsZero() && a.ExitCode >= 0 {
			attempt.ExitCode = &a.ExitCode
		}
		out = append(out, attempt)
	}
	return out
}

func eventsOf(list []eventlog.Event) []api.Event {
	out := make([]api.Event, 0, len(list))
	for _, e := range list {
		out = append(out, api.Event{ID: e.ID, At: e.At, Kind: e.Kind, Job: e.Job, Node: e.Node, By: e.By, Message: e.Message})
	}
	return out
}

// parseFilter reads the query of a listing. Whatever it does not know, or
// finds twice, is an error that names the parameter.
func parseFilter(q url.Values) (listing.Filter, error) {
	var f listing.Filter
	err := httpio.ReadQuery(q, func(name, value string) string { return operations.SetFilter(&f, name, value) })
	return f, err
}
