package publisher

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// getHealth answers that the process runs.
func getHealth(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.String(http.StatusOK, "ok\n")
}

// getReady answers whether the node should get traffic, and why not.
func (p *Publisher) getReady(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 5*time.Second)
	defer cancel()
	if err := p.cfg.Ready(ctx); err != nil {
		return &jobs.Problem{Status: http.StatusServiceUnavailable, Title: "Not ready", Detail: err.Error()}
	}
	return getHealth(c)
}
