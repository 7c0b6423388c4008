package apihttp

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

// PostJob is the durable door: it answers after the ledger's commit.
func (a *API) PostJob(c echo.Context) error {
	if err := a.cfg.Operations.TakesJobs(); err != nil {
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
	accepted, err := a.cfg.Operations.Submit(c.Request().Context(), caller, body, operations.NewJobID(caller, key), c.Request().Header.Get("Traceparent"))
	if err != nil {
		return err
	}
	return a.sendAccepted(c, accepted)
}

func (a *API) sendAccepted(c echo.Context, accepted ledger.Accepted) error {
	status := http.StatusOK
	if accepted.New {
		status = http.StatusCreated
	}
	c.Response().Header().Set("Location", a.location(accepted.Record))
	return a.sendDocument(c, status, accepted.Record.ID)
}

// location is the job's result URL: what its document says, which may be
// under another node's address.
func (a *API) location(rec ledger.Record) string {
	var doc struct {
		Result jobs.Target `json:"result"`
	}
	if json.Unmarshal(rec.Document, &doc) == nil && doc.Result.URL != "" {
		return doc.Result.URL
	}
	return a.cfg.BaseURL + "/" + rec.ID
}

// sendDocument answers a request that has changed a job with how it stands now.
func (a *API) sendDocument(c echo.Context, status int, id string) error {
	_, body, err := a.cfg.Document(c.Request().Context(), id)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(status, httpio.TypeJSON, body)
}

// GetJobs lists jobs, newest first.
func (a *API) GetJobs(c echo.Context) error {
	filter, err := parseFilter(c.QueryParams())
	if err != nil {
		return err
	}
	page, err := a.cfg.Jobs.List(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, page)
}

// GetJob tells all that the ledger knows about one job.
func (a *API) GetJob(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	details, err := a.cfg.Jobs.Details(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if !a.cfg.Auth.SeesSecrets(c) {
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

// GetSeries tells what a job said of itself over time.
func (a *API) GetSeries(c echo.Context) error {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return err
	}
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	s, err := a.cfg.Jobs.Series(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, s)
}
