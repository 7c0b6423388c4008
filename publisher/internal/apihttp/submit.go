package apihttp

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// PostJob submits a job. It answers after the ledger's commit.
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

// sendAccepted answers with the document of an accepted job.
func (a *API) sendAccepted(c echo.Context, accepted ledger.Accepted) error {
	status := http.StatusOK
	if accepted.New {
		status = http.StatusCreated
	}
	_, body, err := a.cfg.Document(c.Request().Context(), accepted.Record.ID)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", a.location(accepted.Record))
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(status, httpio.TypeJSON, body)
}

// location returns the result URL in the job's document. It may be one of another node.
func (a *API) location(rec ledger.Record) string {
	var doc struct {
		Result jobs.Target `json:"result"`
	}
	if json.Unmarshal(rec.Document, &doc) == nil && doc.Result.URL != "" {
		return doc.Result.URL
	}
	return a.cfg.BaseURL + "/" + rec.ID
}
