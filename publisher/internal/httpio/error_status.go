package httpio

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// missing is the answer to errMissing. The store may come back, as a file system
// that was not mounted.
func missing(err error) *jobs.Problem {
	what := "result"
	if errors.Is(err, ErrMissingFile) {
		what = "file"
	}
	p := Problem(http.StatusServiceUnavailable, "the job has succeeded, but its "+what+" is missing from the store of this node; who runs the node finds this in its log")
	p.Title = "The " + what + " is missing"
	return p
}

// ProblemOf is the answer to an error; ok is false where the error says
// nothing that a client should read.
func ProblemOf(err error) (p *jobs.Problem, ok bool) {
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
		return Problem(http.StatusServiceUnavailable, held.Error()), true
	case errors.As(err, &status):
		return statusProblem(status), true
	case errors.Is(err, ErrMissing):
		return missing(err), true
	case errors.Is(err, ledger.ErrUnknown):
		return Problem(http.StatusNotFound, "no job with this id is known"), true
	case errors.Is(err, ledger.ErrChanged):
		return Problem(http.StatusPreconditionFailed, "it was changed meanwhile: read it again, and send the request with its new ETag if it is still wanted"), true
	case errors.Is(err, ledger.ErrConflict):
		return Problem(http.StatusConflict, "the id is known with another document"), true
	case errors.Is(err, ledger.ErrClosed):
		return Problem(http.StatusServiceUnavailable, "the node is shutting down"), true
	case errors.Is(err, listing.ErrCursor):
		return BadParameter("cursor", "is not one that a listing has given out"), true
	case errors.Is(err, ledger.ErrTooBig):
		return Problem(http.StatusUnprocessableEntity, "the job is too big to be recorded: "+err.Error()), true
	}
	return Problem(http.StatusInternalServerError, "the node's log says more"), false
}

func faultProblem(f *jobs.Fault) *jobs.Problem {
	status, title := http.StatusUnprocessableEntity, "Not a valid job"
	if f.Syntax {
		status, title = http.StatusBadRequest, "Not JSON"
	}
	return &jobs.Problem{Status: status, Title: title, Detail: f.Message, Pointer: f.Pointer}
}

// later is an error that passes: the same request is welcome after a while.
type later interface {
	error
	// Retry is after how long it is worth asking again.
	Retry() time.Duration
}

// Unavailable is an error that passes within seconds. Its text is the detail of
// the answer.
func Unavailable(detail string) error { return &passing{detail} }

type passing struct{ detail string }

// maxRetryAfter bounds what a client is told to wait, in seconds.
const maxRetryAfter = 3600

// RetryAfter is the Retry-After field of an error that passes, or of any other
// that means that the node cannot answer now.
func RetryAfter(err error) string {
	var held later
	switch {
	case errors.Is(err, ErrMissing):
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
		return Problem(e.Code, "there is nothing at this path")
	case http.StatusMethodNotAllowed:
		return Problem(e.Code, "this path does not take this method; the Allow field lists those it does")
	}
	return Problem(e.Code, "")
}

// ErrMissing is a result that the ledger has recorded and the store has not, or
// errMissingFile, one of its files.
var (
	ErrMissing     = errors.New("publisher: a recorded result is missing from the store")
	ErrMissingFile = fmt.Errorf("%w: one of its files", ErrMissing)
)

func (p *passing) Error() string { return p.detail }

func (p *passing) Retry() time.Duration { return 5 * time.Second }
