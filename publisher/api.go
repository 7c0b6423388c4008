package publisher

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

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
	page, err := p.jobs.List(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, page)
}

// getJob tells all that the ledger knows about one job.
func (p *Publisher) getJob(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	details, err := p.jobs.Details(c.Request().Context(), id)
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

// parseFilter reads the query of a listing. Whatever it does not know, or
// finds twice, is an error that names the parameter.
func parseFilter(q url.Values) (listing.Filter, error) {
	var f listing.Filter
	err := httpio.ReadQuery(q, func(name, value string) string { return operations.SetFilter(&f, name, value) })
	return f, err
}
