// Package httpio holds what all handlers of a node share: it reads bodies, parameters
// and conditions of requests, and writes answers and problems.
package httpio

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/runnerbean/runnerbean/jobs"
)

// TypeProblem is the media type of a problem (RFC 9457).
const TypeProblem = "application/problem+json"

// Problem returns an error whose detail the client reads.
func Problem(status int, detail string) *jobs.Problem {
	return &jobs.Problem{Status: status, Title: http.StatusText(status), Detail: detail}
}

// BadParameter returns a problem of a query parameter. message goes on after its name.
func BadParameter(name, message string) *jobs.Problem {
	return Problem(http.StatusBadRequest, fmt.Sprintf("the query parameter %q %s", Shorten(name), message))
}

// BadMember returns a problem of the member of a body at a JSON pointer. message goes on
// after the pointer.
func BadMember(pointer, message string) *jobs.Problem {
	p := Problem(http.StatusUnprocessableEntity, fmt.Sprintf("%q %s", shortText(pointer, 64), message))
	p.Pointer = shortText(pointer, 512)
	return p
}

func tooLarge(limit int64) *jobs.Problem {
	detail := fmt.Sprintf("the body may have at most %d bytes", limit)
	if limit == jobs.MaxDocument {
		detail = fmt.Sprintf("a job document has at most %d bytes; larger inputs go by URL", limit)
	}
	return Problem(http.StatusRequestEntityTooLarge, detail)
}

// Shorten cuts what an answer or the log repeats of a request.
func Shorten(s string) string { return shortText(s, 64) }

func shortText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "?")
}
