package httpio

import (
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
)

// NameParam is the name in a path. The router has read its escapes, unless the
// path has one that changes its parts, such as that of a slash.
func NameParam(c echo.Context) (name string, err error) {
	name = c.Param("name")
	if c.Request().URL.RawPath != "" {
		name, err = url.PathUnescape(name)
	}
	if err != nil || TextFault(name) != "" {
		return "", Problem(http.StatusNotFound, "there is nothing of this name")
	}
	return name, nil
}

const (
	// young is the age up to which an unknown id may still be on its way
	// through the inbox.
	young = time.Minute
)

// JobIDParam is the id in the path; a path without one is no route.
func JobIDParam(c echo.Context) (string, error) {
	id := c.Param("id")
	if !jobs.ValidID(id) {
		return "", Problem(http.StatusNotFound, "there is nothing at this path; a result URL ends in a lower-case UUID of version 4 or 7")
	}
	return id, nil
}

// IsRecentID reports whether an id was made so lately that its job may not have
// been taken in yet.
func IsRecentID(id string, now time.Time) bool {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return false
	}
	made := time.Unix(u.Time().UnixTime())
	return now.Sub(made).Abs() < young
}
