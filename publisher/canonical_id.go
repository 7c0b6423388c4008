package publisher

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// canonicalID redirects a request for a result whose id has upper-case letters, or a slash
// behind it, to the URL of the result. The answer depends on the path alone, so it comes
// before the check of the signature, which stays in the query.
func canonicalID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		location := canonicalLocation(c)
		if location == "" {
			return next(c)
		}
		h := c.Response().Header()
		auth.AllowAnyOrigin(h, c.Request())
		h.Set("Cache-Control", "private, no-cache") // the URL may have a signature
		h.Set("Location", location)
		return c.NoContent(http.StatusPermanentRedirect)
	}
}

// canonicalLocation returns the address to which a request is redirected, or "". It is
// relative, because a proxy may have removed the beginning of the path.
func canonicalLocation(c echo.Context) string {
	id, route, u := c.Param("id"), c.Path(), c.Request().URL
	lower := strings.ToLower(id)
	slash := strings.HasSuffix(route, "/")
	if !slash && id == lower || !jobs.ValidID(lower) {
		return ""
	}
	before, _, _ := strings.Cut(route, ":id")
	rest, ok := strings.CutPrefix(u.EscapedPath(), before+id)
	if !ok {
		return ""
	}
	location := strings.Repeat("../", strings.Count(rest, "/")) + lower
	if slash {
		rest = strings.TrimSuffix(rest, "/")
	}
	location += rest
	if u.RawQuery != "" {
		location += "?" + u.RawQuery
	}
	return location
}
