// Package httpio holds what every handler of a node shares: reading bodies,
// parameters and conditions of a request, and writing answers and problems.
package httpio

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/runnerbean/runnerbean/jobs"
)

const TypeProblem = "application/problem+json"

// Problem is an error whose detail is meant for the client.
func Problem(status int, detail string) *jobs.Problem {
	return &jobs.Problem{Status: status, Title: http.StatusText(status), Detail: detail}
}

func BadParameter(name, message string) *jobs.Problem {
	return Problem(http.StatusBadRequest, fmt.Sprintf("the query parameter %q %s", Shorten(name), message))
}

// Shorten bounds what an answer repeats of a request.
func Shorten(s string) string { return shortText(s, 64) }

func shortText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "?")
}

func tooLarge(limit int64) *jobs.Problem {
	detail := fmt.Sprintf("the body may have at most %d bytes", limit)
	if limit == jobs.MaxDocument {
		detail = fmt.Sprintf("a job document has at most %d bytes; larger inputs go by URL", limit)
	}
	return Problem(http.StatusRequestEntityTooLarge, detail)
}

// BadMember is a fault in the member of a body at a JSON pointer.
func BadMember(pointer, message string) *jobs.Problem {
	p := Problem(http.StatusUnprocessableEntity, fmt.Sprintf("%q %s", shortText(pointer, 64), message))
	p.Pointer = shortText(pointer, 512)
	return p
}
