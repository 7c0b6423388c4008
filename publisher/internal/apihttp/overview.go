package apihttp

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// rangeParameter reads the query of an answer about a period.
func rangeParameter(c echo.Context) (string, error) {
	q := c.QueryParams()
	if err := httpio.OnlyParameters(q, "range"); err != nil {
		return "", err
	}
	back, ok := readmodel.LookbackOf(q.Get("range"))
	if !ok || q.Has("range") && q.Get("range") == "" {
		return "", httpio.BadParameter("range", readmodel.BadRange)
	}
	return back.Name, nil
}

// GetOverview answers with the state of all nodes and queues.
func (a *API) GetOverview(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	body, err := a.cfg.Overviews.Body(c.Request().Context(), window)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(http.StatusOK, httpio.TypeJSON, body)
}
