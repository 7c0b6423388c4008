package apihttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// PostJob submits a job, or an array of them. It answers after the ledger's commit.
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
	if jobdoc.IsArray(body) {
		return a.postJobs(c, body, key)
	}
	caller := auth.CallerOf(c)
	accepted, err := a.cfg.Operations.Submit(c.Request().Context(), caller, body, operations.NewJobID(caller, key), c.Request().Header.Get("Traceparent"))
	if err != nil {
		return err
	}
	return a.sendAccepted(c, accepted)
}

// postJobs submits an array of documents. Under an idempotency key the id of a job that has
// none is the same each time, so that the same request makes the same jobs.
func (a *API) postJobs(c echo.Context, body []byte, key string) error {
	documents, fault := jobdoc.Split(body, api.MaxSubmitted)
	if fault != nil {
		return fault
	}
	caller := auth.CallerOf(c)
	ids := make([]string, len(documents))
	for i := range ids {
		ids[i] = operations.NewJobID(caller, key, "array", strconv.Itoa(i))
	}
	all, err := a.cfg.Operations.SubmitAll(c.Request().Context(), caller, documents, ids, c.Request().Header.Get("Traceparent"))
	if err != nil {
		return err
	}
	answer := api.Submitted{Jobs: make([]api.SubmittedJob, len(all))}
	for i := range all {
		answer.Jobs[i] = a.submitted(all[i])
		if answer.Jobs[i].Error != nil {
			answer.Refused++
		}
	}
	return httpio.SendJSON(c, http.StatusOK, answer)
}

// submitted returns what became of one document of an array.
func (a *API) submitted(accepted ledger.Accepted) api.SubmittedJob {
	rec := accepted.Record
	if accepted.Err != nil {
		p, _ := httpio.ProblemOf(accepted.Err)
		var fault *jobs.Fault
		if errors.As(accepted.Err, &fault) {
			rec.ID = fault.ID
		}
		return api.SubmittedJob{Status: p.Status, ID: rec.ID, Error: p}
	}
	status := http.StatusOK
	if accepted.New {
		status = http.StatusCreated
	}
	return api.SubmittedJob{Status: status, ID: rec.ID, URL: a.location(rec), State: rec.State}
}

// sendAccepted answers with the document of an accepted job.
func (a *API) sendAccepted(c echo.Context, accepted ledger.Accepted) error {
	status := http.StatusOK
	if accepted.New {
		status = http.StatusCreated
	}
	body, err := a.acceptedBody(c, accepted.Record)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", a.location(accepted.Record))
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(status, httpio.TypeJSON, body)
}

// acceptedBody returns the document of an accepted job. What it waits for takes most of the
// time of a submission, so that a client may do without. Where the document cannot be read,
// the answer must not look like a refusal: the job is recorded.
func (a *API) acceptedBody(c echo.Context, rec ledger.Record) ([]byte, error) {
	if httpio.PrefersMinimal(httpio.Field(c.Request().Header, "Prefer")) {
		c.Response().Header().Set("Preference-Applied", "return=minimal")
	} else if _, body, err := a.cfg.Document(c.Request().Context(), rec.ID); err == nil {
		return body, nil
	}
	return httpio.Marshal(readmodel.Summary(rec, time.Now()))
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
