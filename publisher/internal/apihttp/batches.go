package apihttp

import (
	"errors"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// PostBatch submits a batch that is written in one object, as [API.PostJob] submits its job.
func (a *API) PostBatch(c echo.Context) error {
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
