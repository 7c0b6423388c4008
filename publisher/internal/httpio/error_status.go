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
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// temporary is an error that ends by itself: the same request may succeed later.
type temporary interface {
	error
	// Retry returns after how long it is worth asking again.
	Retry() time.Duration
}

// Unavailable returns a temporary error. Its text is the detail of the answer.
func Unavailable(detail string) error { return &unavailable{detail} }

type unavailable struct{ detail string }

func (u *unavailable) Error() string        { return u.detail }
func (u *unavailable) Retry() time.Duration { return 5 * time.Second }

var (
	// ErrMissing is a result that is recorded in the ledger and missing from the store.
	ErrMissing = errors.New("publisher: a recorded result is missing from the store")
	// ErrMissingFile is the ErrMissing of a file of a result.
	ErrMissingFile = fmt.Errorf("%w: one of its files", ErrMissing)
)

// ProblemOf returns the answer to an error. ok is false where the error is the node's own
// fault and says nothing that a client should read.
func ProblemOf(err error) (p *jobs.Problem, ok bool) {
	var fault *jobs.Fault
	var status *echo.HTTPError
	var size *http.MaxBytesError
	var later temporary
	var deleted *retention.Deleted
	var absent *packages.Missing
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &fault):
		return faultProblem(fault), true
	case errors.As(err, &absent):
		return missingFiles(absent), true
	case errors.As(err, &size):
		return tooLarge(size.Limit), true
	case errors.As(err, &later):
		return Problem(http.StatusServiceUnavailable, later.Error()), true
	case errors.As(err, &status):
		return statusProblem(status), true
	case errors.As(err, &deleted):
		return Problem(http.StatusGone, deleted.Error()+"; its result, its log and its files are gone as well"), true
	case errors.Is(err, ErrMissing):
		return missing(err), true
	case errors.Is(err, ledger.ErrUnknown):
		return Problem(http.StatusNotFound, "no job with this id is known"), true
	case errors.Is(err, engine.ErrChanged):
		return Problem(http.StatusPreconditionFailed, "it was changed meanwhile: read it again, and send the request with its new ETag if it is still wanted"), true
	case errors.Is(err, ledger.ErrConflict):
		return conflict(err), true
	case errors.Is(err, engine.ErrNoRoom):
		return Problem(http.StatusServiceUnavailable, engine.ErrNoRoom.Error()+": try again later"), true
	case errors.Is(err, engine.ErrAway):
		return Problem(http.StatusServiceUnavailable, "the ledger does not answer: try again later"), true
	case errors.Is(err, store.ErrAway):
		return Problem(http.StatusServiceUnavailable, "the store does not answer: try again later"), true
	case errors.Is(err, ledger.ErrClosed):
		return Problem(http.StatusServiceUnavailable, "the node is shutting down"), true
	case errors.Is(err, listing.ErrCursor):
		return BadParameter("cursor", "is not one that a listing has given out"), true
	case errors.Is(err, engine.ErrTooBig):
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

// missingFiles returns the answer to a job that uses files that the store does not have.
func missingFiles(m *packages.Missing) *jobs.Problem {
	return &jobs.Problem{
		Status: http.StatusUnprocessableEntity, Title: "Files are missing",
		Detail: m.Error() + "; send those in missing with the batch, as a tar", Missing: m.Digests,
	}
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

// missing returns the answer to ErrMissing. It is temporary, since the store may be a file
// system that is not mounted.
func missing(err error) *jobs.Problem {
	what := "result"
	if errors.Is(err, ErrMissingFile) {
		what = "file"
	}
	p := Problem(http.StatusServiceUnavailable, "the job has succeeded, but its "+what+" is missing from the store of this node; its operator can bring the file back, or run the job again: retry with {\"missing_result\": true}")
	p.Title = "The " + what + " is missing"
	return p
}

// conflict returns the answer to ErrConflict.
func conflict(err error) *jobs.Problem {
	var differs *ledger.Conflict
	if !errors.As(err, &differs) {
		return Problem(http.StatusConflict, ledger.ErrConflict.Error())
	}
	p := Problem(http.StatusConflict, differs.Error())
	p.Pointer = differs.Pointer
	return p
}

// maxRetryAfter is the longest time, in seconds, that a client is told to wait.
const maxRetryAfter = 3600

// RetryAfter returns the Retry-After field of an answer with the status 503.
func RetryAfter(err error) string {
	var later temporary
	switch {
	case errors.Is(err, ErrMissing):
		return "60"
	case !errors.As(err, &later):
		return "5"
	}
	seconds := int(math.Ceil(later.Retry().Seconds()))
	return strconv.Itoa(max(1, min(seconds, maxRetryAfter)))
}
