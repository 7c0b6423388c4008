package publisher

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// eventsPath has two forms: a list, and a stream.
const eventsPath = "/api/v1/events"

// speaksJSON refuses a request whose Accept field leaves out what the route
// answers with.
func speaksJSON(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		accept := header(r.Header, "Accept")
		if accept == "" || mediaQuality(accept, "application", "json") > 0 || c.Path() == eventsPath && wantsStream(r) {
			return next(c)
		}
		return problem(http.StatusNotAcceptable, "this path answers with application/json, which the Accept field leaves out")
	}
}
