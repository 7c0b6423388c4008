package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

const typeProblem = "application/problem+json"

// problem is an error whose detail is meant for the client.
func problem(status int, detail string) *jobs.Problem {
	return &jobs.Problem{Status: status, Title: http.StatusText(status), Detail: detail}
}

func badParameter(name, message string) *jobs.Problem {
	return problem(http.StatusBadRequest, fmt.Sprintf("the query parameter %q %s", shorten(name), message))
}

// missing is the answer to errMissing. The store may come back, as a file system
// that was not mounted.
func missing(err error) *jobs.Problem {
	what := "result"
	if errors.Is(err, errMissingFile) {
		what = "file"
	}
	p := problem(http.StatusServiceUnavailable, "the job has succeeded, but its "+what+" is missing from the store of this node; who runs the node finds this in its log")
	p.Title = "The " + what + " is missing"
	return p
}

// shorten bounds what an answer repeats of a request.
func shorten(s string) string { return shortText(s, 64) }

func shortText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "?")
}

// problemOf is the answer to an error; ok is false where the error says
// nothing that a client should read.
func problemOf(err error) (p *jobs.Problem, ok bool) {
	var fault *jobs.Fault
	var status *echo.HTTPError
	var size *http.MaxBytesError
	var held later
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &fault):
		return faultProblem(fault), true
	case errors.As(err, &size):
		return tooLarge(size.Limit), true
	case errors.As(err, &held):
		return problem(http.StatusServiceUnavailable, held.Error()), true
	case errors.As(err, &status):
		return statusProblem(status), true
	case errors.Is(err, errMissing):
		return missing(err), true
	case errors.Is(err, ledger.ErrUnknown):
		return problem(http.StatusNotFound, "no job with this id is known"), true
	case errors.Is(err, ledger.ErrChanged):
		return problem(http.StatusPreconditionFailed, "it was changed meanwhile: read it again, and send the request with its new ETag if it is still wanted"), true
	case errors.Is(err, ledger.ErrConflict):
		return problem(http.StatusConflict, "the id is known with another document"), true
	case errors.Is(err, errBusy):
		return problem(http.StatusServiceUnavailable, "too many clients follow jobs at this node now"), true
	case errors.Is(err, errFiles):
		return problem(http.StatusServiceUnavailable, "too many files are being read at this node now"), true
	case errors.Is(err, errClosing):
		return problem(http.StatusServiceUnavailable, "the node is shutting down"), true
	case errors.Is(err, ledger.ErrClosed):
		return problem(http.StatusServiceUnavailable, "the node is shutting down"), true
	case errors.Is(err, ledger.ErrCursor):
		return badParameter("cursor", "is not one that a listing has given out"), true
	case errors.Is(err, ledger.ErrTooBig):
		return problem(http.StatusUnprocessableEntity, "the job is too big to be recorded: "+err.Error()), true
	}
	return problem(http.StatusInternalServerError, "the node's log says more"), false
}

func faultProblem(f *jobs.Fault) *jobs.Problem {
	status, title := http.StatusUnprocessableEntity, "Not a valid job"
	if f.Syntax {
		status, title = http.StatusBadRequest, "Not JSON"
	}
	return &jobs.Problem{Status: status, Title: title, Detail: f.Message, Pointer: f.Pointer}
}

func tooLarge(limit int64) *jobs.Problem {
	detail := fmt.Sprintf("the body may have at most %d bytes", limit)
	if limit == jobs.MaxDocument {
		detail = fmt.Sprintf("a job document has at most %d bytes; larger inputs go by URL", limit)
	}
	return problem(http.StatusRequestEntityTooLarge, detail)
}

// later is an error that passes: the same request is welcome after a while.
type later interface {
	error
	// Retry is after how long it is worth asking again.
	Retry() time.Duration
}

// maxRetryAfter bounds what a client is told to wait, in seconds.
const maxRetryAfter = 3600

// retryLater is the Retry-After field of an error that passes, or of any other
// that means that the node cannot answer now.
func retryLater(err error) string {
	var held later
	switch {
	case errors.Is(err, errMissing):
		return "60"
	case !errors.As(err, &held):
		return "5"
	}
	seconds := int(math.Ceil(held.Retry().Seconds()))
	return strconv.Itoa(max(1, min(seconds, maxRetryAfter)))
}

func statusProblem(e *echo.HTTPError) *jobs.Problem {
	switch e.Code {
	case http.StatusNotFound:
		return problem(e.Code, "there is nothing at this path")
	case http.StatusMethodNotAllowed:
		return problem(e.Code, "this path does not take this method; the Allow field lists those it does")
	}
	return problem(e.Code, "")
}

// renderError is where every error of a handler becomes an answer.
func (p *Publisher) renderError(err error, c echo.Context) {
	r := c.Request()
	if c.Response().Committed || errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody is there to read it
	}
	found, ok := problemOf(err)
	answer := *found
	if !ok || errors.Is(err, errMissing) {
		request := uuid.NewString()
		answer.Instance = "urn:uuid:" + request
		p.log.LogAttrs(r.Context(), slog.LevelError, "could not answer a request", slog.String("request", request),
			slog.String("method", r.Method), slog.String("path", shorten(r.URL.Path)), slog.Any("err", err))
	}
	if h := c.Response().Header(); answer.Status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", retryLater(err))
	}
	p.sendProblem(c, &answer, err)
}

func (p *Publisher) sendProblem(c echo.Context, answer *jobs.Problem, cause error) {
	body, err := marshal(answer)
	if err != nil {
		body = []byte(`{"title":"Internal Server Error","status":500}`)
	}
	h := c.Response().Header()
	for _, name := range []string{"ETag", "Last-Modified", "Content-Encoding", "Content-Disposition", "Content-Length"} {
		h.Del(name)
	}
	h.Set("Cache-Control", noStore)
	if id := c.Param("id"); answer.Status == http.StatusNotFound && jobs.ValidID(id) && isYoung(id, time.Now()) {
		h.Set("Retry-After", "1") // it may be on its way through the inbox
	}
	if p.sendProblemPage(c, answer) || p.sendNotice(c, answer, cause) {
		return
	}
	_ = c.Blob(answer.Status, typeProblem, body) // a client that has gone needs no answer
}
