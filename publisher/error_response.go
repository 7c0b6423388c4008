package publisher

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// renderError answers with an error of a handler. It logs errors that are the node's
// own fault.
func (p *Publisher) renderError(err error, c echo.Context) {
	r := c.Request()
	if c.Response().Committed || errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	if errors.Is(err, httpio.ErrMissing) {
		err = p.deletedMeanwhile(r.Context(), c.Param("id"), err)
	}
	found, ok := httpio.ProblemOf(err)
	answer := *found
	if !ok || errors.Is(err, httpio.ErrMissing) {
		request := uuid.NewString()
		answer.Instance = "urn:uuid:" + request
		p.log.LogAttrs(r.Context(), slog.LevelError, "could not answer a request", slog.String("request", request),
			slog.String("method", r.Method), slog.String("path", httpio.Shorten(r.URL.Path)), slog.Any("err", err))
	}
	if h := c.Response().Header(); answer.Status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", httpio.RetryAfter(err))
	}
	p.sendProblem(c, &answer, err)
}

// deletedMeanwhile returns why an object of a job is missing: the *retention.Deleted if
// the job was deleted while the request was answered, else err.
func (p *Publisher) deletedMeanwhile(ctx context.Context, id string, err error) error {
	if d, failed := p.cfg.Ledger.Retention.Find(ctx, id); failed == nil && d != nil {
		return d
	}
	return err
}

// sendProblem answers with a page where a person asks for one, and else with JSON.
func (p *Publisher) sendProblem(c echo.Context, answer *jobs.Problem, cause error) {
	body, err := httpio.Marshal(answer)
	if err != nil {
		body = []byte(`{"title":"Internal Server Error","status":500}`)
	}
	h := c.Response().Header()
	for _, name := range []string{"ETag", "Last-Modified", "Content-Encoding", "Content-Disposition", "Content-Length"} {
		h.Del(name)
	}
	h.Set("Cache-Control", httpio.NoStore)
	if id := c.Param("id"); answer.Status == http.StatusNotFound && jobs.ValidID(id) && httpio.IsRecentID(id, time.Now()) {
		h.Set("Retry-After", "1") // the job may still be in the inbox
	}
	if p.pages.SendProblem(c, answer) || p.pages.SendNotice(c, answer, cause) {
		return
	}
	_ = c.Blob(answer.Status, httpio.TypeProblem, body) // a client that has gone needs no answer
}
