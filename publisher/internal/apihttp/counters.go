package apihttp

import (
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetCounters returns what a program or a node has counted in a window of time.
func (a *API) GetCounters(c echo.Context) (any, error) {
	q := c.QueryParams()
	if err := httpio.OnlyParameters(q, "program", "node", "range"); err != nil {
		return nil, err
	}
	for _, name := range []string{"program", "node", "range"} {
		if fault := httpio.TextFault(q.Get(name)); q.Has(name) && fault != "" {
			return nil, httpio.BadParameter(name, fault)
		}
	}
	return a.cfg.Counters.Get(c.Request().Context(), q.Get("program"), q.Get("node"), q.Get("range"))
}
