package apihttp

import (
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// GetJobs returns a page of jobs, the newest first.
func (a *API) GetJobs(c echo.Context) (any, error) {
	filter, err := parseFilter(c.QueryParams())
	if err != nil {
		return nil, err
	}
	return a.cfg.Jobs.List(c.Request().Context(), filter)
}

// GetJob answers with all that the ledger has about one job.
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
	timeless.Status.Timestamp = time.Time{} // the time of the request
	return httpio.SendTagged(c, httpio.Version(details.Updated), details, timeless)
}

// GetSeries returns what a job has reported over time.
func (a *API) GetSeries(c echo.Context) (any, error) {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return nil, err
	}
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return nil, err
	}
	return a.cfg.Jobs.Series(c.Request().Context(), id)
}

// parseFilter reads the query of a list of jobs.
func parseFilter(q url.Values) (listing.Filter, error) {
	var f listing.Filter
	err := httpio.ReadQuery(q, func(name, value string) string { return operations.SetFilter(&f, name, value) })
	return f, err
}
