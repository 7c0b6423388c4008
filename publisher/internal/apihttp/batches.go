package apihttp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/batchtar"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// PostBatch submits a batch that is written in one object, as [API.PostJob] submits its job. A
// batch may also come as a tar of batch.json and its files.
func (a *API) PostBatch(c echo.Context) error {
	if err := a.cfg.Operations.TakesJobs(); err != nil {
		return err
	}
	body, err := a.batchBody(c)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(c.Request())
	if err != nil {
		return err
	}
	document, err := jobdoc.BatchDocument(body)
	if err != nil {
		return err
	}
	caller := auth.CallerOf(c)
	accepted, err := a.cfg.Operations.Submit(c.Request().Context(), caller, document, operations.NewJobID(caller, key), c.Request().Header.Get("Traceparent"))
	if err != nil {
		return inBatch(err)
	}
	return a.sendAccepted(c, accepted)
}

// batchBody returns the batch of a request, also one that comes as a tar with its files.
func (a *API) batchBody(c echo.Context) ([]byte, error) {
	if a.cfg.Packages == nil || !httpio.IsTar(c.Request()) {
		return httpio.ReadBody(c, jobs.MaxDocument)
	}
	ctx := c.Request().Context()
	if err := a.cfg.Operations.Open(ctx); err != nil {
		return nil, err
	}
	upload, err := httpio.Upload(c)
	if err != nil {
		return nil, err
	}
	body, err := a.cfg.Packages.Receive(ctx, upload)
	httpio.ExtendDeadline(c.Response().Writer, httpio.WriteTimeout)
	if refused, ok := errors.AsType[*batchtar.Refused](err); ok {
		err = &jobs.Problem{Status: http.StatusUnprocessableEntity, Title: "Not a valid package", Detail: refused.Error()}
	}
	return body, err
}

// batchInput is where the document of a job has what a batch has at its top.
const batchInput = "/input/data"

// inBatch returns an error about the document of a batch with the place that this has in the
// body of PostBatch.
func inBatch(err error) error {
	var fault *jobs.Fault
	var conflict *ledger.Conflict
	switch {
	case errors.As(err, &fault):
		if pointer, ok := pointerInBatch(fault.Pointer); ok {
			moved := *fault
			moved.Pointer = pointer
			moved.Message = strings.Replace(fault.Message, jsondoc.FieldName(fault.Pointer), jsondoc.FieldName(pointer), 1)
			return &moved
		}
	case errors.As(err, &conflict):
		if pointer, ok := pointerInBatch(conflict.Pointer); ok {
			return &ledger.Conflict{Pointer: pointer}
		}
	}
	return err
}

func pointerInBatch(pointer string) (string, bool) {
	rest, ok := strings.CutPrefix(pointer, batchInput)
	return rest, ok && (rest == "" || rest[0] == '/')
}
