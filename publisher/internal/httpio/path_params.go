package httpio

import (
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
)

// NameParam returns the name in a path, or a problem where it is none. The router has read
// its escapes, unless one stands for a slash.
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

// JobIDParam returns the id in a path, or a problem where it is none.
func JobIDParam(c echo.Context) (string, error) {
	id := c.Param("id")
	if !jobs.ValidID(id) {
		return "", Problem(http.StatusNotFound, "there is nothing at this path; a result URL ends in a lower-case UUID of version 4 or 7")
	}
	return id, nil
}

// recent is the age up to which the job of an unknown id may still be in the inbox.
const recent = time.Minute

// IsRecentID reports whether an id is so new that its job may not be accepted yet.
func IsRecentID(id string, now time.Time) bool {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return false
	}
	made := time.Unix(u.Time().UnixTime())
	return now.Sub(made).Abs() < recent
}
