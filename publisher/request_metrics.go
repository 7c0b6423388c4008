package publisher

import (
	"time"

	"github.com/labstack/echo/v4"
)

// observed calls Config.Observe for each request. All paths that are no route have one
// name, so that clients cannot make new ones.
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

// ServedFast returns how many requests for results the fast path has answered.
func (p *Publisher) ServedFast() int64 { return p.served.Load() }

// FromMemory returns how many requests for results were answered from memory before they
// came to the router. Config.Observe is not called for them.
func (p *Publisher) FromMemory() int64 { return p.fromMemory.Load() + p.served.Load() }

// StreamsDropped returns how many messages event streams did not get because they were
// behind.
func (p *Publisher) StreamsDropped() int64 { return p.broker.Dropped() }

// Streams returns the number of event streams and held answers.
func (p *Publisher) Streams() int {
	return p.broker.Len()
}
