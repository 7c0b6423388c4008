package publisher

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// observed tells Config.Observe of each request. Paths that are no route count
// as one, so that strangers cannot make names.
func (p *Publisher) observed() echo.MiddlewareFunc {
	known := map[string]bool{}
	for _, r := range p.table() {
		known[r.path] = true
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start, status, route := time.Now(), 0, "other"
			if known[c.Path()] {
				route = c.Path()
			}
			defer func() { p.cfg.Observe(route, c.Request().Method, status, time.Since(start)) }()
			if err := next(c); err != nil {
				c.Error(err) // writes the answer, so that its status is known
			}
			status = c.Response().Status
			return nil
		}
	}
}

const metricsPath = "/metrics"

// metricsRoute is /metrics, where the node has any.
func (p *Publisher) metricsRoute() []route {
	if p.cfg.Metrics == nil {
		return nil
	}
	return []route{{http.MethodGet, metricsPath, echo.WrapHandler(p.cfg.Metrics), auth.Viewer}}
}

// FromMemory is how many results were served from memory, by net/http or below
// it: Config.Observe is not told of them.
func (p *Publisher) FromMemory() int64 { return p.fromMemory.Load() + p.served.Load() }

// Streams is how many event streams and held answers there are now.
func (p *Publisher) Streams() int {
	return p.hub.places.Len()
}
